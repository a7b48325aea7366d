//! The time budget of one entry into a guest.

use std::time::Duration;

/// Factor by which a replay extends the budget of each entry.
const REPLAY: u32 = 8;

/// Time budget of one entry into a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// CPU time.
    pub cpu: Duration,
    /// Wall-clock time, waiting included. It starts when the entry begins, not
    /// while the entry is queued.
    pub wall: Duration,
}

impl Budget {
    /// Returns the budget for a replay.
    ///
    /// The entry stayed within its budget once, perhaps on a faster machine. A
    /// replay that stopped it would change the outcome.
    #[must_use]
    pub fn for_replay(self) -> Budget {
        Budget {
            cpu: self.cpu.saturating_mul(REPLAY),
            wall: self.wall.saturating_mul(REPLAY),
        }
    }
}
