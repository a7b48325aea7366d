//! Builds the component of an environment's folder.

mod cargo;
mod component;
mod error;
mod job;

pub use component::{build, build_all, locate};
pub use error::BuildError;
pub use job::{BuildJob, BuiltComponent, Progress, TARGET};
