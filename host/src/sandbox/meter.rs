//! How long a guest has been on a CPU.
//!
//! The future that drives a guest reports when it enters and leaves guest
//! code; the engine's epoch callback asks, from within, whether the budget is
//! spent. Time is that of the thread's stay in the guest, so a guest that
//! sleeps uses none. Readings are relaxed: the two sides take turns and never
//! overlap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stopwatch with a budget; clones share it.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Instant,
    budget: AtomicU64,
    spent: AtomicU64,
    entered: AtomicU64,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter(Arc::new(Inner {
            base: Instant::now(),
            budget: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            entered: AtomicU64::new(0),
        }))
    }
}

impl Meter {
    /// Starts a new account with this much CPU time.
    pub fn reset(&self, budget: Duration) {
        self.0.budget.store(nanos(budget), Ordering::Relaxed);
        self.0.spent.store(0, Ordering::Relaxed);
    }

    /// The thread goes into the guest.
    pub fn enter(&self) {
        self.0.entered.store(self.now(), Ordering::Relaxed);
    }

    /// The thread has come back.
    pub fn leave(&self) {
        let stay = self.now() - self.0.entered.load(Ordering::Relaxed);
        self.0.spent.fetch_add(stay, Ordering::Relaxed);
    }

    /// Asked from within the guest: whether its budget is spent.
    pub fn is_spent(&self) -> bool {
        let stay = self.now() - self.0.entered.load(Ordering::Relaxed);
        self.0.spent.load(Ordering::Relaxed) + stay > self.0.budget.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        nanos(self.0.base.elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stays_count() {
        let meter = Meter::default();
        meter.reset(Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(30));
        meter.enter();
        assert!(!meter.is_spent());
        meter.leave();
        meter.enter();
        std::thread::sleep(Duration::from_millis(30));
        assert!(meter.is_spent());
        meter.leave();
        meter.reset(Duration::from_secs(1));
        meter.enter();
        assert!(!meter.is_spent());
    }
}
