//! Work on another thread, for tests that need two things at once.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Work that was started and whose result is still to be had.
pub struct Later<T>(JoinHandle<(T, Duration)>);

impl<T: Send + 'static> Later<T> {
    /// Starts work.
    pub fn run(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(thread::spawn(move || {
            let start = Instant::now();
            let result = work();
            (result, start.elapsed())
        }))
    }

    /// Waits for the result; a panic goes on here.
    pub fn get(self) -> T {
        self.timed().0
    }

    /// Waits for the result and how long the work took.
    pub fn timed(self) -> (T, Duration) {
        match self.0.join() {
            Ok(pair) => pair,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// True once the result is there.
    pub fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

/// Starts each piece of work on a thread of its own and gives the results in
/// the order of the pieces.
pub fn all_at_once<T, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let running: Vec<Later<T>> = work.into_iter().map(Later::run).collect();
    running.into_iter().map(Later::get).collect()
}

/// Asks again and again until the answer is yes; fails with `what` when that
/// takes longer than `limit`.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "after {limit:?} still not: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
