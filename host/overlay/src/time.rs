//! Where the times of files come from.

use std::fmt::Debug;

use orwd_model::Timestamp;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

/// Gives the time of a change to a file. It is the session's clock, so that a
/// replay sees the same times.
pub trait TimeSource: Debug + Send + Sync {
    /// Returns the current wall time without advancing it.
    fn now(&self) -> Timestamp;
}

/// Converts a time of the host's into one of WASI.
pub fn datetime(time: Timestamp) -> Datetime {
    let nanos = time.as_nanos();
    Datetime {
        seconds: nanos / 1_000_000_000,
        // Below a billion.
        nanoseconds: (nanos % 1_000_000_000) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_and_nanoseconds() {
        let time = datetime(Timestamp::from_nanos(1_234_567_890_123));
        assert_eq!((time.seconds, time.nanoseconds), (1234, 567_890_123));
    }
}
