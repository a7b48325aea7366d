//! Bounds how often a warning is logged that a guest can cause at will.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The time between two warnings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one warning through in each interval, and counts the others.
#[derive(Debug)]
pub(crate) struct WarningLimiter(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl WarningLimiter {
    pub(crate) const fn new() -> WarningLimiter {
        WarningLimiter(Mutex::new(State {
            last: None,
            unsaid: 0,
        }))
    }

    /// Returns whether to log a warning now: the number of those that were
    /// not logged since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now - last < INTERVAL) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_in_each_interval_says_how_many_were_not_logged() {
        let limiter = WarningLimiter::new();
        let start = Instant::now();
        assert_eq!(limiter.admit_at(start), Some(0));
        for _ in 0..5 {
            assert_eq!(limiter.admit_at(start + INTERVAL / 2), None);
        }
        assert_eq!(limiter.admit_at(start + INTERVAL), Some(5));
        assert_eq!(limiter.admit_at(start + INTERVAL * 2), Some(0));
    }
}
