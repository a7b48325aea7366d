//! Sessions and steps as the commands read them, from the admin API or from a
//! journal.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ListedSession {
    pub(super) session: String,
    pub(super) episode: String,
    pub(super) environment: String,
    pub(super) state: String,
    pub(super) created_ms: u64,
    #[serde(default)]
    pub(super) ended_ms: Option<u64>,
    /// How many of its first records another server ran.
    #[serde(default)]
    pub(super) imported_records: Option<u64>,
    /// The name of its API key, which only a journal tells.
    #[serde(default)]
    pub(super) key: Option<String>,
}

/// A session without its steps.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ShownSession {
    pub(super) session: String,
    pub(super) episode: String,
    pub(super) environment: String,
    pub(super) component: String,
    pub(super) state: String,
    pub(super) created_ms: u64,
    #[serde(default)]
    pub(super) ended_ms: Option<u64>,
    pub(super) seed: String,
    pub(super) replayable: bool,
    /// How many of its first records another server ran.
    #[serde(default)]
    pub(super) imported_records: Option<u64>,
    #[serde(default)]
    pub(super) parent: Option<ShownParent>,
}

/// What a session was forked from.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ShownParent {
    pub(super) episode: String,
    pub(super) record: u64,
    /// Whether it is no session that this server ran.
    #[serde(default)]
    pub(super) imported: bool,
}

/// A page of steps, each as the JSON that `--json` prints.
#[derive(Debug, Deserialize)]
pub(super) struct StepsPage {
    pub(super) steps: Vec<Box<RawValue>>,
    pub(super) next: Option<String>,
}

/// A page of ended sessions.
#[derive(Debug, Deserialize)]
pub(super) struct SessionsPage {
    pub(super) sessions: Vec<ListedSession>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A step.
#[derive(Debug, Deserialize)]
pub(super) struct ShownStep {
    pub(super) record: u64,
    pub(super) step: Option<u64>,
    pub(super) at_ms: u64,
    pub(super) kind: String,
    pub(super) tool: Option<String>,
    pub(super) outcome: Option<String>,
    #[serde(default)]
    pub(super) cpu_us: Option<u64>,
    #[serde(default)]
    pub(super) input: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) output: Option<ShownOutput>,
    #[serde(default)]
    pub(super) sealed: bool,
}

/// What a guest returned.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownOutput {
    pub(super) blocks: Vec<Value>,
    pub(super) messages: Vec<ShownMessage>,
    pub(super) tools: Vec<String>,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) reward: Option<f64>,
    pub(super) finished: bool,
    pub(super) scores: Vec<ShownScore>,
    pub(super) error: Option<ShownError>,
    pub(super) published: Option<u64>,
}

/// A message of a conversation.
#[derive(Debug, Deserialize)]
pub(super) struct ShownMessage {
    pub(super) role: String,
    pub(super) blocks: Vec<Value>,
}

/// The score of a candidate.
#[derive(Debug, Deserialize)]
pub(super) struct ShownScore {
    pub(super) reward: f64,
}

/// Why a step has no output.
#[derive(Debug, Deserialize)]
pub(super) struct ShownError {
    pub(super) reason: String,
    pub(super) message: String,
}
