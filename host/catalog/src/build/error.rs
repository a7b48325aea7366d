//! Why there is no component.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::job::TARGET;
use crate::manifest::FILE_NAME;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is neither a component nor a description of its build.
    #[error(
        "there is no component: put {file} into the folder, or add Cargo.toml or [build] to build one"
    )]
    NoRule {
        /// Name of the file that would be found.
        file: String,
    },
    /// There are several component files, and none has the environment's name.
    #[error(
        "the folder has {count} components; name the one to serve with `component` in [build] of {FILE_NAME}, or {file}"
    )]
    SeveralComponents {
        /// Their number.
        count: usize,
        /// Name of the file that would be found.
        file: String,
    },
    /// What a build has made cannot be laid out for serving elsewhere.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// cargo is missing.
    #[error(
        "cannot build: cargo is not installed; install Rust from https://rustup.rs and try again"
    )]
    NoCargo,
    /// The target's standard library is missing, and so is rustup.
    #[error(
        "Rust's standard library for {TARGET} is missing and rustup is not installed; install Rust from https://rustup.rs, or your system's package for that target"
    )]
    NoTarget,
    /// rustup could not add the target.
    #[error("Rust's standard library for {TARGET} is missing; run: rustup target add {TARGET}")]
    TargetNotAdded,
    /// A program could not be started.
    #[error("cannot run `{program}`: {reason}")]
    NotRun {
        /// The program.
        program: String,
        /// The reason.
        reason: io::Error,
    },
    /// A program failed; its output has the reason.
    #[error("`{program}` failed ({status}); see its output above")]
    Failed {
        /// The program.
        program: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// cargo failed before it built this package.
    #[error("not built, because cargo failed; see its output above")]
    NotReached,
    /// The output of cargo is not understood.
    #[error("cannot parse the output of cargo: {0}")]
    Output(String),
    /// The package has no component.
    #[error(
        "package {package} has no component: set crate-type = [\"cdylib\"] in [lib] of its Cargo.toml"
    )]
    NoLibrary {
        /// Name of the package.
        package: String,
    },
    /// `Cargo.toml` has no package.
    #[error("Cargo.toml has no package")]
    NoPackage,
    /// The build succeeded and created no file at the expected path.
    #[error("the build created no component at {}", .0.display())]
    NotMade(PathBuf),
    /// There is no component, and building was not asked for.
    #[error(
        "it is not built: there is no component at {}. Building runs code of its author on this machine, with your rights. If you trust it, run `orwd build {}` or pass --build",
        component.display(), folder.display()
    )]
    NotBuilt {
        /// Where it would be.
        component: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The manifest names a component that does not exist.
    #[error("there is no component at {}; check `build.component` in {FILE_NAME}", .0.display())]
    Absent(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: io::Error,
    },
}
