//! A request that starts a run, and how a repetition of it is recognised.

use orwd_model::{Candidate, Json};

/// Work of a session that has a run of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum RunRequest {
    /// Call a tool.
    Call {
        /// The tool.
        tool: String,
        /// Its input.
        input: Json,
    },
    /// Score a group of candidates.
    Score(Vec<Candidate>),
}

/// What identifies a request when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFingerprint {
    /// A hash of the request, without the run id that it may name.
    pub body: [u8; 32],
    /// The client's idempotency key, if any.
    pub key: Option<String>,
}
