//! Builds the component of an environment's folder, or finds the last one.

mod cargo;
mod component;
mod created;
mod error;
mod job;
mod last_build;
mod package;
mod process;

pub use component::{build, build_all, has_sources};
pub use created::{is_created, note_created};
pub use error::BuildError;
pub use job::{BuildJob, Progress, TARGET};
pub use last_build::{DIST, locate};
pub use package::{Package, PackageMember, write_members, write_package};
