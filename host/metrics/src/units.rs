//! Times as they are counted, and as they are shown.

use std::time::Duration;

/// Returns the nanoseconds of a time, of which 64 bits hold 584 years.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns nanoseconds in seconds.
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
