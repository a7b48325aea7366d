//! Measures the CPU time of a guest.
//!
//! The future that drives a guest reports when it starts and stops running
//! guest code; the engine's epoch callback asks from within whether the budget
//! is exhausted. The thread's CPU time counts, so neither a sleeping guest nor
//! one that waits for a CPU uses any. Atomic accesses are relaxed: the two
//! sides alternate on one thread and never overlap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A CPU time meter with a budget; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CpuMeter(Arc<Inner>);

/// All times in nanoseconds.
#[derive(Debug, Default)]
struct Inner {
    budget: AtomicU64,
    used: AtomicU64,
    started: AtomicU64,
    yielded: AtomicBool,
}

impl CpuMeter {
    /// Resets the meter, with this much CPU time as budget.
    pub fn reset(&self, budget: Duration) {
        let budget = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        self.0.budget.store(budget, Ordering::Relaxed);
        self.0.used.store(0, Ordering::Relaxed);
    }

    /// Returns the CPU time used since the reset.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.0.used.load(Ordering::Relaxed))
    }

    /// Guest code starts running on this thread.
    pub fn start(&self) {
        self.0.started.store(thread_time(), Ordering::Relaxed);
    }

    /// Guest code has stopped running on this thread. Returns the CPU time since
    /// it started.
    pub fn stop(&self) -> Duration {
        let used = self.current();
        self.0.used.fetch_add(used, Ordering::Relaxed);
        Duration::from_nanos(used)
    }

    /// Records that the guest yields because its time slice is over.
    pub fn note_yield(&self) {
        self.0.yielded.store(true, Ordering::Relaxed);
    }

    /// Returns whether the guest has yielded since the last call.
    pub fn take_yielded(&self) -> bool {
        self.0.yielded.swap(false, Ordering::Relaxed)
    }

    /// Returns whether the budget is exhausted; called while guest code runs.
    pub fn is_exhausted(&self) -> bool {
        let used = self.0.used.load(Ordering::Relaxed);
        used.saturating_add(self.current()) > self.0.budget.load(Ordering::Relaxed)
    }

    fn current(&self) -> u64 {
        thread_time().saturating_sub(self.0.started.load(Ordering::Relaxed))
    }
}

/// Returns the CPU time of this thread in nanoseconds.
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
    fn only_cpu_time_in_guest_code_counts() {
        let meter = CpuMeter::default();
        meter.reset(Duration::from_millis(20));
        work(Duration::from_millis(30));
        meter.start();
        std::thread::sleep(Duration::from_millis(30));
        assert!(!meter.is_exhausted());
        work(Duration::from_millis(11));
        meter.stop();
        meter.start();
        assert!(!meter.is_exhausted());
        work(Duration::from_millis(11));
        assert!(meter.is_exhausted());
        meter.stop();
        meter.reset(Duration::from_secs(1));
        meter.start();
        assert!(!meter.is_exhausted());
    }
}
