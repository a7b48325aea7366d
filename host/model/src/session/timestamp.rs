//! Wall-clock time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01 UTC. Saturates in the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Takes nanoseconds since 1970.
    pub const fn from_nanos(nanos: u64) -> Timestamp {
        Timestamp(nanos)
    }

    /// Reads the system clock. A clock that is set before 1970 reads as 1970.
    pub fn now() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(nanos(since.unwrap_or_default()))
    }

    /// Returns the nanoseconds since 1970.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Adds nanoseconds, saturating.
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// Adds a duration, saturating.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Timestamp {
        self.plus_nanos(nanos(duration))
    }

    /// Subtracts a duration, saturating at 1970.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(duration)))
    }
}

/// Converts to nanoseconds, saturating at 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        let then = Timestamp::from_nanos(5);
        assert_eq!(then.plus_nanos(3).as_nanos(), 8);
        assert_eq!(then.plus_nanos(u64::MAX).as_nanos(), u64::MAX);
        assert_eq!(then.saturating_add(Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(then.saturating_sub(Duration::from_secs(1)).as_nanos(), 0);
        assert!(Timestamp::now() > Timestamp::from_nanos(1_577_836_800_000_000_000));
    }
}
