//! What a session may use up.
//!
//! Each field is enforced in one place and has a test that shows it biting;
//! how they are set is the configuration's affair.

use std::time::Duration;

/// How many times its budget an entry gets in a replay.
const REPLAY: u32 = 8;

/// Time for one entry into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Time on a CPU.
    pub cpu: Duration,
    /// Time on the clock, waiting included; counted from the moment the entry
    /// begins, not while it queues behind others.
    pub wall: Duration,
}

impl Budget {
    /// For doing again what was within its budget once, perhaps on a slower
    /// machine: to stop it would be to do something else.
    #[must_use]
    pub fn for_replay(self) -> Budget {
        Budget {
            cpu: self.cpu.saturating_mul(REPLAY),
            wall: self.wall.saturating_mul(REPLAY),
        }
    }
}

/// The limits of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Bytes of all linear memories and tables together. A guest that asks for
    /// more is refused; most then abort.
    pub memory: usize,
    /// Elements of all tables together. More is refused as memory is.
    pub tables: usize,
    /// Handles that the guest holds at once: to files, streams, timers and the
    /// like. One more is a fault.
    pub handles: usize,
    /// For one tool call, prompt, listing or group score, and for one question
    /// to the catalog.
    pub call: Budget,
    /// For opening the episode and for its setup, each.
    pub setup: Budget,
    /// For the teardown.
    pub teardown: Budget,
    /// Bytes of one result: blocks, metadata and all.
    pub result: usize,
    /// Bytes that the guest hands over at once, in one call of the host or in
    /// one result, counted as they lie in the host's memory: what the host
    /// allocates before it can look at what it was given. More is a fault.
    pub host_call: usize,
    /// Arrays and objects within each other in JSON that passes between the
    /// guest and its clients. What is deeper is refused, and the session goes
    /// on.
    pub json_depth: usize,
    /// Bytes of standard output and standard error that reach the log for each
    /// entry into the guest; the rest is counted and dropped.
    pub log: usize,
    /// The same for the whole life of an instance.
    pub log_total: usize,
    /// Bytes of what the session wrote into files, and of their names. More is
    /// refused as a disk that is full.
    pub disk: u64,
    /// Files, directories and links that the session made or changed, and
    /// those of the data that it removed. More is refused in the same way.
    pub files: u64,
    /// Files and directories open at once. More is refused as a quota that is
    /// used up.
    pub open_files: u64,
    /// Bytes that the journal takes of what the session is asked and of what
    /// comes of it. Once it has had more, the next thing asked is a fault.
    pub journal: u64,
}
