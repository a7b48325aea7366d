//! Whether the machine has memory left for guests.
//!
//! The memory of one guest is limited, but the sum over all is not. When the
//! process comes near to what it may use, guests that grow are stopped, as by a
//! machine without memory. So are those that have been allowed the most, since
//! they may not have used all of it yet: first the largest, and smaller ones
//! while that is not enough. A session that was stopped can be rebuilt from its
//! journal once there is memory again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a guest that is never stopped: little would be gained.
const SMALLEST: usize = 4 << 20;

/// The state of the machine's memory; clones share it.
#[derive(Clone, Debug)]
pub struct HostMemory(Arc<AtomicUsize>);

impl Default for HostMemory {
    fn default() -> HostMemory {
        HostMemory(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl HostMemory {
    /// Memory is short: guests of half of `largest` bytes and more are stopped,
    /// and at each further call those of half the size of before.
    pub fn report_shortage(&self, largest: usize) {
        let now = self.stop_above().min(largest);
        self.0.store((now / 2).max(SMALLEST), Ordering::Relaxed);
    }

    /// There is memory again.
    pub fn end_shortage(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    /// Returns whether memory is short.
    pub fn is_short(&self) -> bool {
        self.stop_above() != usize::MAX
    }

    /// Returns whether a guest with this many bytes may run on.
    pub fn allows(&self, bytes: usize) -> bool {
        bytes < self.stop_above()
    }

    /// Returns whether a guest may grow to this many bytes.
    pub fn allows_growth(&self, bytes: usize) -> bool {
        !self.is_short() || bytes < SMALLEST
    }

    fn stop_above(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_largest_are_stopped_first() {
        let memory = HostMemory::default();
        assert!(memory.allows(usize::MAX - 1) && !memory.is_short());
        let stopped = |bytes: usize| !memory.allows(bytes);
        memory.report_shortage(256 * MIB);
        assert!(memory.is_short());
        assert!(stopped(128 * MIB) && !stopped(127 * MIB));
        assert!(!memory.allows_growth(5 * MIB) && memory.allows_growth(3 * MIB));
        memory.report_shortage(256 * MIB);
        assert!(stopped(64 * MIB) && !stopped(63 * MIB));
        for _ in 0..100 {
            memory.report_shortage(256 * MIB);
        }
        assert!(!stopped(3 * MIB));
        memory.end_shortage();
        assert!(!stopped(256 * MIB) && memory.allows_growth(256 * MIB));
    }
}
