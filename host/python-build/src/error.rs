//! Why there is no component.

use std::io;
use std::path::PathBuf;

/// Why there is no component of a Python environment.
#[derive(Debug, thiserror::Error)]
pub enum PythonBuildError {
    /// There is no interpreter.
    #[error(
        "building a Python environment requires Python 3.10 or newer, or uv; install one of them and try again"
    )]
    NoPython,
    /// The interpreter cannot make virtual environments.
    #[error(
        "`{program}` cannot make the tool environment ({status}); on Debian and Ubuntu install python3-venv, or install uv:\n{output}"
    )]
    NoVenv {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// The tools cannot be fetched.
    #[error(
        "cannot install the tools for building ({status}); they come from the package index that pip is configured for:\n{output}"
    )]
    NoTools {
        /// The exit status of pip.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// A program could not be started.
    #[error("cannot run `{program}`: {reason}")]
    NotRun {
        /// The program.
        program: String,
        /// The reason.
        reason: io::Error,
    },
    /// The builder ended without a result.
    #[error("the builder failed ({status}):\n{output}")]
    Builder {
        /// Its exit status.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// The environment cannot be built, for this reason.
    #[error("{0}")]
    Environment(String),
    /// There is no earlier build of these sources, and building was not asked
    /// for.
    #[error("it is not built with its present sources; run `orwd build {}`", .0.display())]
    NotBuilt(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
}

impl PythonBuildError {
    /// Returns a function that adds a path to an error.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> PythonBuildError {
        let path = path.into();
        move |reason| PythonBuildError::File { path, reason }
    }
}
