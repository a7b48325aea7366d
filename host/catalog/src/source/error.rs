//! Why an environment cannot be served.

use std::fmt;
use std::io;
use std::path::PathBuf;

use orwd_sandbox::DataDirError;

use crate::build::BuildError;
use crate::manifest::{FILE_NAME, ManifestError};

/// A path that cannot be served.
#[derive(Debug)]
pub struct SourceProblem {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    pub reason: SourceError,
}

impl std::error::Error for SourceProblem {}

/// Writes the path and the reason. A manifest's path includes its file name.
impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            SourceError::Manifest(error) => {
                write!(f, "{}", self.path.join(error.to_string()).display())
            }
            reason => write!(f, "{}: {reason}", self.path.display()),
        }
    }
}

/// Why a path cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a pipe, a device or the like.
    #[error("neither a file nor a folder")]
    NeitherFileNorFolder,
    /// It is a manifest in place of its folder.
    #[error("this is a manifest; pass its folder")]
    IsManifest,
    /// It is a folder without environments.
    #[error("no environment found; expected {FILE_NAME}, folders with {FILE_NAME}, or .wasm files")]
    NoEnvironment,
    /// It is a folder with too many entries to search for environments.
    #[error("more than {0} entries; pass the environments themselves")]
    TooManyEntries(usize),
    /// A link of a folder leads out of it.
    #[error("a link leads out of the folder; to serve what it leads to, pass that path itself")]
    LeadsOut,
    /// The name of a component file is not valid for an environment.
    #[error("{0}; rename the file")]
    Name(String),
    /// The manifest is invalid.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// Another environment has this name.
    #[error("duplicate name {name:?}, also used by {}", first.display())]
    DuplicateName {
        /// The name.
        name: String,
        /// The other one.
        first: PathBuf,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// There is no component.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A flag `--data` fits no environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataFlagError {
    /// It names no environment, and there are several.
    #[error("--data DIR is for one environment, but {0} were found; pass --data NAME=DIR")]
    Several(usize),
    /// No environment has this name.
    #[error("--data names the environment {0:?}, which is not served")]
    Unknown(String),
    /// An environment has two.
    #[error("--data is set twice for the environment {0:?}")]
    Twice(String),
}
