//! What the control process says to the supervisor, and its replies: one JSON
//! value on each line.

use serde::{Deserialize, Serialize};

/// A request of the control process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The reply repeats it.
    pub(crate) number: u64,
    pub(crate) action: Action,
}

/// What is requested.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Start a host process, unless it runs.
    Start(HostSpec),
    /// Reply.
    Check,
    /// Stop the host process of this name, if it runs. Its sessions resume when
    /// it starts again.
    Stop(String),
}

/// A host process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostSpec {
    /// The name, by which it is stopped.
    pub(crate) name: String,
    /// The id of the deployment.
    pub(crate) deployment: String,
    /// The folders or components of its environments, relative to the version;
    /// the first is the default.
    pub(crate) paths: Vec<String>,
    /// The environments whose `/orwd_data` is the files of an environment, and
    /// which environment and generation that is.
    pub(crate) data: Option<DataSpec>,
    /// Sessions at once.
    pub(crate) max_sessions: u32,
}

/// The files of an environment at a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataSpec {
    pub(crate) environment: String,
    pub(crate) generation: i64,
    /// The names of the environments of the version.
    pub(crate) variants: Vec<String>,
}

/// A reply of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) number: u64,
    pub(crate) result: Result<Done, String>,
}

/// What was done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    /// The host process accepts connections at this port of the loopback
    /// interface, or will in a moment.
    Listens(u16),
    /// It stops.
    Stops,
    /// The supervisor runs.
    Runs,
}
