//! How long a guest has been on a CPU.
//!
//! The future that drives a guest reports when it enters and leaves guest
//! code; the engine's epoch callback asks, from within, whether the budget is
//! spent. What counts is the CPU time of the thread, so a guest that sleeps
//! uses none, and neither does one that the machine has no time for. Readings
//! are relaxed: the two sides take turns on one thread and never overlap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A stopwatch with a budget; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Inner>);

/// All in nanoseconds.
#[derive(Debug, Default)]
struct Inner {
    budget: AtomicU64,
    spent: AtomicU64,
    entered: AtomicU64,
}

impl Meter {
    /// Starts a new account with this much CPU time.
    pub fn reset(&self, budget: Duration) {
        let budget = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        self.0.budget.store(budget, Ordering::Relaxed);
        self.0.spent.store(0, Ordering::Relaxed);
    }

    /// What was spent of the account.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.0.spent.load(Ordering::Relaxed))
    }

    /// The thread goes into the guest.
    pub fn enter(&self) {
        self.0.entered.store(thread_time(), Ordering::Relaxed);
    }

    /// The thread has come back.
    pub fn leave(&self) {
        self.0.spent.fetch_add(self.stay(), Ordering::Relaxed);
    }

    /// Asked from within the guest: whether its budget is spent.
    pub fn is_spent(&self) -> bool {
        let spent = self.0.spent.load(Ordering::Relaxed);
        spent.saturating_add(self.stay()) > self.0.budget.load(Ordering::Relaxed)
    }

    fn stay(&self) -> u64 {
        thread_time().saturating_sub(self.0.entered.load(Ordering::Relaxed))
    }
}

/// CPU time of this thread.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    part(time.tv_sec)
        .saturating_mul(1_000_000_000)
        .saturating_add(part(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the CPU busy for this much of the thread's time.
    fn work(duration: Duration) {
        let until = thread_time() + u64::try_from(duration.as_nanos()).unwrap();
        while thread_time() < until {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn only_work_within_stays_counts() {
        let meter = Meter::default();
        meter.reset(Duration::from_millis(20));
        work(Duration::from_millis(30));
        meter.enter();
        std::thread::sleep(Duration::from_millis(30));
        assert!(!meter.is_spent());
        work(Duration::from_millis(11));
        meter.leave();
        meter.enter();
        assert!(!meter.is_spent());
        work(Duration::from_millis(11));
        assert!(meter.is_spent());
        meter.leave();
        meter.reset(Duration::from_secs(1));
        meter.enter();
        assert!(!meter.is_spent());
    }
}
