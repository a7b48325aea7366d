//! Builds a component from a Python environment.
//!
//! The author's module is imported inside of the component, in a WebAssembly
//! sandbox, and the state after the import is the component. Nothing of the
//! author's runs outside of it. What runs on this machine is the builder that
//! this crate embeds, in a tool environment below the cache directory: an
//! interpreter's virtual environment with pinned and hashed packages.
//!
//! Packages that the environment requires are fetched as wheels. Nothing of a
//! source distribution is executed, except of those that this crate's recipes
//! name by version and digest: they become wheels for WASI, once.

mod build;
mod embedded;
mod error;
mod install;
mod key;
mod process;
mod progress;
mod source;
mod tools;

pub use build::{PythonBuild, PythonPlaces, build};
pub use error::PythonBuildError;
pub use progress::PythonProgress;
pub use source::{ENTRIES, PythonSource};
