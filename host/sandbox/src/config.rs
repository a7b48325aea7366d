//! The configuration of one instance.

use std::sync::Arc;

use orwd_model::{DataMode, DeterminismConfig, DiskBudget, MemoryBudget, SessionLimits, SleepMode};

use crate::data::dir::DataDir;
use crate::http::NetworkAccess;

/// Identifies an instance in the log.
#[derive(Clone, Debug)]
pub struct InstanceLabel {
    /// The name of the environment.
    pub environment: Arc<str>,
    /// The session id, or `catalog` for an instance that serves task queries.
    pub session: Arc<str>,
    /// The name of the session's owner, whose sessions share a part of the log;
    /// empty if there is none. It is not logged.
    pub owner: Arc<str>,
}

/// The configuration of one instance.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    /// Identifies the instance in the log.
    pub label: InstanceLabel,
    /// The seed and the clock.
    pub determinism: DeterminismConfig,
    /// Whether sleeps take real time at first.
    pub sleep_mode: SleepMode,
    /// The data directory at `/orwd_data`, if any.
    pub data: Option<DataDir>,
    /// What happens to the files that it writes.
    pub mode: DataMode,
    /// Its limits.
    pub limits: SessionLimits,
    /// Whether to hash what it sees of its data.
    pub observe: bool,
    /// What its temporary file is charged to, if anything.
    pub disk: Option<Arc<dyn DiskBudget>>,
    /// What the memory that it grows by is charged to, if anything.
    pub memory: Option<Arc<dyn MemoryBudget>>,
    /// What it may reach by HTTP.
    pub network: NetworkAccess,
}
