//! Environments: how they are found, built and loaded.

pub mod build;
mod component_store;
mod environment;
pub mod manifest;
mod probe;
pub mod source;
mod spec;
mod task_queries;

#[cfg(test)]
mod testing;

pub use component_store::ComponentStore;
pub use environment::{Environment, PreparedEnvironment};
pub use orwd_sandbox::InstanceConfig;
pub use source::EnvironmentSource;
pub use spec::{EnvironmentSpec, LoadError};
