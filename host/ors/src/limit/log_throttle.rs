//! Limits how often the log repeats a warning.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between two warnings about the same condition.
const INTERVAL: Duration = Duration::from_secs(60);

/// Lets a warning through once per [`INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    logged: Mutex<Option<Instant>>,
}

impl LogThrottle {
    /// Returns whether the warning should be logged now.
    pub(crate) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let due = logged.is_none_or(|logged| now - logged >= INTERVAL);
        if due {
            *logged = Some(now);
        }
        due
    }
}
