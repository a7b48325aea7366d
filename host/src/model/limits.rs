//! What a session may use up.
//!
//! Each field is enforced in one place and has a test that shows it biting;
//! how they are set is the configuration's affair.

use std::time::Duration;

/// Time for one entry into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Time on a CPU.
    pub cpu: Duration,
    /// Time on the clock, waiting included; counted from the moment the entry
    /// begins, not while it queues behind others.
    pub wall: Duration,
}

/// The limits of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Bytes of all linear memories together. A guest that asks for more is
    /// refused; most then abort.
    pub memory: usize,
    /// For one tool call, prompt, listing or group score, and for one question
    /// to the catalog.
    pub call: Budget,
    /// For opening the episode and for its setup, each.
    pub setup: Budget,
    /// For the teardown.
    pub teardown: Budget,
    /// Bytes of one result: blocks, metadata and all.
    pub result: usize,
    /// Bytes of standard output and standard error that reach the log for each
    /// entry into the guest; the rest is counted and dropped.
    pub log: usize,
}
