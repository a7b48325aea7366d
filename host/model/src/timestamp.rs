//! A moment on the clock of the world.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the first of January 1970, UTC. Lasts until the year
/// 2554, and stands still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Timestamp {
        Timestamp(nanos)
    }

    /// What the machine's clock says. One that is set before 1970 says 1970.
    pub fn now() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(nanos(since.unwrap_or_default()))
    }

    /// As nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// So many nanoseconds later.
    #[must_use]
    pub const fn plus(self, nanos: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }
}

/// A duration in nanoseconds; one of more than 584 years is 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_stands_still_at_its_end() {
        let then = Timestamp::from_nanos(5);
        assert_eq!(then.plus(3).nanos(), 8);
        assert_eq!(then.plus(u64::MAX).nanos(), u64::MAX);
        assert!(Timestamp::now() > Timestamp::from_nanos(1_577_836_800_000_000_000));
    }
}
