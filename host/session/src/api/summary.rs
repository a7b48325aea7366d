//! Sessions and their steps as people and tools see them.

use serde::Serialize;

/// A session without its steps.
#[derive(Clone, Debug, Serialize)]
pub struct SessionSummary {
    /// Its id.
    pub session: String,
    /// Its episode: this life of the session.
    pub episode: String,
    /// Its environment.
    pub environment: String,
    /// The digest of the environment's component.
    pub component: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// How many of its first records another host ran; none if it was not
    /// imported. Its environment's name is then that in the file.
    pub imported_records: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Its state: `ready`, `asleep`, `faulted` and others.
    pub state: &'static str,
    /// Calls without an idempotency key that were matched to an earlier call
    /// since the server or the session was last started.
    pub attached: u64,
}

/// Some ended sessions, the newest first.
#[derive(Clone, Debug, Serialize)]
pub struct EndedPage {
    /// The sessions.
    pub sessions: Vec<SessionSummary>,
    /// The episode that the next page continues after; `None` at the end.
    pub next: Option<String>,
}

/// Which sessions a list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPage {
    /// The `next` of the page before; the first page if absent.
    pub after: Option<String>,
    /// The most sessions.
    pub limit: usize,
}

/// A page of a list of sessions, in the order of their creation.
#[derive(Clone, Debug, Serialize)]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<SessionSummary>,
    /// What the next page comes after, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which steps the details of a session have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRange {
    /// The record of the last step of the page before; the first page if absent.
    pub after: Option<u64>,
    /// The most steps.
    pub limit: usize,
}

/// A session with its steps.
#[derive(Clone, Debug, Serialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub summary: SessionSummary,
    /// Its seed, in digits: many readers of JSON lose those of a large number.
    pub seed: String,
    /// Whether it can be replayed.
    pub replayable: bool,
    /// What it was forked from.
    pub parent: Option<ForkParent>,
    /// The public keys of the hosts whose receipts came with an imported session.
    pub imported_receipt_keys: Vec<String>,
    /// Its steps, in order.
    pub steps: Vec<StepSummary>,
    /// The record that the next page of steps comes after, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What a session was forked from.
#[derive(Clone, Debug, Serialize)]
pub struct ForkParent {
    /// The episode.
    pub episode: String,
    /// The last record that the two have in common.
    pub record: u64,
    /// Whether this host did not run it: the session was imported, so the file names
    /// it, or it is a fork of an imported one.
    pub imported: bool,
}

/// A request to a guest and its result.
#[derive(Clone, Debug, Serialize)]
pub struct StepSummary {
    /// The sequence number of its journal record.
    pub record: u64,
    /// For calls and scorings: its number, counted from 1. A session can be
    /// forked after it.
    pub step: Option<u64>,
    /// Whether another host ran it, and it came with an imported session.
    pub imported: bool,
    /// When it arrived, in milliseconds since 1970.
    pub at_ms: u64,
    /// The kind of the request.
    pub kind: &'static str,
    /// The tool.
    pub tool: Option<String>,
    /// The id of the run.
    pub task_id: Option<String>,
    /// The kind of the result; none while the request is being processed.
    pub outcome: Option<&'static str>,
    /// The hash of the result.
    pub hash: Option<String>,
    /// The reward returned by a tool.
    pub reward: Option<f64>,
    /// Whether a tool returned that the episode has finished.
    pub finished: bool,
}
