//! Environments: how they are found, built and loaded.

pub mod build;
mod environment;
mod files;
pub mod manifest;
mod probe;
pub mod source;
mod spec;
mod tasks;

#[cfg(test)]
mod testing;

pub use environment::{DataDigestError, Environment, PreparedEnvironment};
pub use files::{AuthorFolder, ComponentFile, ComponentStore};
pub use orwd_sandbox::InstanceConfig;
pub use source::EnvironmentSource;
pub use spec::{EnvironmentNetwork, EnvironmentSpec, LoadError};
pub use tasks::list::{ListingError, ListingLimits, TaskList, TaskListBuilder};
