//! Limits of sessions and of admission.
//!
//! Each field is enforced in one place and has a test that shows its effect.
//! The configuration decides their values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The factor by which a replay extends budgets.
const REPLAY_FACTOR: u32 = 8;

/// The time for one entry into the guest. Records hold nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Budget {
    /// CPU time.
    pub cpu: Duration,
    /// Wall-clock time, waiting included. It starts when the entry begins, not
    /// while the entry is queued.
    pub wall: Duration,
}

impl Budget {
    /// Returns the budget for replaying an entry. The entry fitted its budget
    /// once; a slower machine must not make the replay end differently.
    #[must_use]
    pub fn for_replay(self) -> Budget {
        Budget {
            cpu: self.cpu.saturating_mul(REPLAY_FACTOR),
            wall: self.wall.saturating_mul(REPLAY_FACTOR),
        }
    }
}

impl From<(u64, u64)> for Budget {
    fn from((cpu, wall): (u64, u64)) -> Budget {
        Budget {
            cpu: Duration::from_nanos(cpu),
            wall: Duration::from_nanos(wall),
        }
    }
}

impl From<Budget> for (u64, u64) {
    fn from(budget: Budget) -> (u64, u64) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        (nanos(budget.cpu), nanos(budget.wall))
    }
}

/// The limits of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// Bytes of all linear memories and tables together. Growth over it is
    /// refused; most guests then abort.
    pub memory: usize,
    /// Elements of all tables together. Growth over it is refused.
    pub tables: usize,
    /// Handles that the guest holds at once: files, streams, timers and others.
    /// One more is a fault.
    pub handles: usize,
    /// The budget of one tool call, prompt, listing or group score, and of one
    /// task query.
    pub call: Budget,
    /// The budgets of opening the episode and of its setup, each.
    pub setup: Budget,
    /// The budget of the teardown.
    pub teardown: Budget,
    /// Bytes of one result: blocks, metadata and all.
    pub result: usize,
    /// Bytes that the guest passes in one host call or returns in one result,
    /// counted as host memory: the host allocates them before it can inspect
    /// them. More is a fault.
    pub host_call: usize,
    /// Nesting depth of JSON that passes between the guest and its clients.
    /// Deeper JSON is refused, and the session continues.
    pub json_depth: usize,
    /// Bytes of standard output and standard error that are logged for each
    /// entry into the guest. The rest is counted and dropped.
    pub log: usize,
    /// The same for the whole life of an instance.
    pub log_total: usize,
    /// Bytes that the session wrote into files, and of their names. Writes over
    /// it fail as on a full disk.
    pub disk: u64,
    /// Files, directories and links that the session created, changed or
    /// removed. More fail as on a full disk.
    pub files: u64,
    /// Files and directories open at once. More fail with a quota error.
    pub open_files: u64,
    /// Bytes of the session's records in the journal. Once it has more, the
    /// next request is a fault.
    pub journal: u64,
}

/// The cost that a component may have before it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Bytes of the component.
    pub component: u64,
    /// Bytes of address space for the compiler.
    pub memory: u64,
    /// CPU time for the compiler.
    pub time: Duration,
}

impl AdmissionLimits {
    /// Returns the wall-clock time for the compiler. It is longer than the CPU
    /// time, because the compiler may wait for a busy machine.
    pub fn wall(&self) -> Duration {
        self.time.saturating_mul(2)
    }
}

impl Default for AdmissionLimits {
    fn default() -> AdmissionLimits {
        AdmissionLimits {
            component: 64 << 20,
            memory: 4 << 30,
            time: Duration::from_secs(120),
        }
    }
}
