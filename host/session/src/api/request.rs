//! A request that starts a run, and how a repetition of it is recognised.

use orwd_model::{Candidate, HeapSize, Json};

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

impl RunRequest {
    /// Returns the bytes that the request takes while it waits and runs: its own,
    /// and those of its record.
    pub(crate) fn memory(&self) -> usize {
        let own = match self {
            RunRequest::Call { tool, input } => tool.heap_size() + input.heap_size(),
            RunRequest::Score(candidates) => candidates.heap_size(),
        };
        size_of::<RunRequest>() + own.saturating_mul(2)
    }
}

/// What identifies a request when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFingerprint {
    /// A hash of the request, without the run id that it may name.
    pub body: [u8; 32],
    /// The client's idempotency key, if any.
    pub key: Option<String>,
}
