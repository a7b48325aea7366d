//! Work on other threads, for tests that need two things at once.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Work on another thread, whose result can be waited for.
pub struct BackgroundTask<T>(JoinHandle<(T, Duration)>);

impl<T: Send + 'static> BackgroundTask<T> {
    /// Starts the work.
    pub fn spawn(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(thread::spawn(move || {
            let start = Instant::now();
            let result = work();
            (result, start.elapsed())
        }))
    }

    /// Waits for the result; propagates a panic.
    pub fn join(self) -> T {
        self.join_timed().0
    }

    /// Waits for the result and how long the work took.
    pub fn join_timed(self) -> (T, Duration) {
        match self.0.join() {
            Ok(pair) => pair,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Returns whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Runs each piece of work on a thread of its own and returns the results in
/// the order of the pieces.
pub fn run_concurrently<T, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let running: Vec<BackgroundTask<T>> = work.into_iter().map(BackgroundTask::spawn).collect();
    running.into_iter().map(BackgroundTask::join).collect()
}

/// Polls a condition until it is true; panics with `what` after `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
