//! Limits the memory of a session, summed over all its linear memories and
//! tables.
//!
//! wasmtime limits each memory separately, and a component can have dozens, so
//! this limiter sums. A refused growth looks to the guest like a failed
//! allocation. The refusal is remembered, since most guests then abort and the
//! trap alone does not say why.
//!
//! A charge is never returned. wasmtime reports a failed growth without saying
//! whether it asked first, so a growth over the declared maximum would return
//! the charge of an earlier one that succeeded. An allowed growth can then fail
//! only because the machine is out of memory. That ends the session with a
//! fault of the host, since the guest's behaviour must not depend on the
//! machine.

use std::sync::Arc;

use orwd_model::MemoryBudget;
use wasmtime::{Error, ResourceLimiter, Result};

use crate::host_memory::HostMemory;

/// Bytes of a table element, which is a pointer of the host.
const ELEMENT: usize = size_of::<usize>();

/// Core instances of a session. A Python interpreter with pydantic has 16, and
/// every further library of native code is one more; pandas has 45 of them.
pub const MAX_CORE_INSTANCES: usize = 512;

/// Limit on memories and on tables of a session.
const MAX_ITEMS: usize = 100;

/// The memory limiter of one session.
#[derive(Debug)]
pub struct MemoryLimiter {
    host: HostMemory,
    limit: Charge,
    used: Charge,
    refused: Option<MemoryRefusal>,
    /// What growth is charged to, if anything.
    budget: Option<Arc<dyn MemoryBudget>>,
    /// Whether the instance exists: what a memory has at first is the
    /// environment's image, which sessions share until they write to it.
    is_instantiated: bool,
}

/// The cost of a growth. A table also costs memory.
#[derive(Debug, Clone, Copy, Default)]
struct Charge {
    bytes: usize,
    elements: usize,
}

/// Which limit refused a growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryRefusal {
    /// Growth of a linear memory.
    Memory,
    /// Growth of a table.
    Tables,
}

impl MemoryLimiter {
    /// Creates a limiter of `bytes` and `elements` of tables, on a machine with
    /// this memory.
    pub fn new(bytes: usize, elements: usize, host: HostMemory) -> MemoryLimiter {
        MemoryLimiter {
            host,
            limit: Charge { bytes, elements },
            used: Charge::default(),
            refused: None,
            budget: None,
            is_instantiated: false,
        }
    }

    /// Charges what the guest grows by to a budget, too.
    pub(crate) fn charge_to(&mut self, budget: Arc<dyn MemoryBudget>) {
        self.budget = Some(budget);
    }

    /// Notes that the instance exists: its further memory is its own.
    pub fn end_instantiation(&mut self) {
        self.is_instantiated = true;
    }

    /// Returns and clears the last refusal.
    pub fn take_refused(&mut self) -> Option<MemoryRefusal> {
        self.refused.take()
    }

    /// Fails if the machine has no memory left for what the session has.
    pub fn check_host(&self) -> Result<()> {
        if self.host.allows(self.used.bytes) {
            Ok(())
        } else {
            Err(HostOutOfMemory.into())
        }
    }

    /// Makes a charge; returns false and changes nothing if a limit would be
    /// exceeded.
    fn charge(&mut self, bytes: usize, elements: usize) -> bool {
        let then = Charge {
            bytes: self.used.bytes.saturating_add(bytes),
            elements: self.used.elements.saturating_add(elements),
        };
        self.refused = if then.elements > self.limit.elements {
            Some(MemoryRefusal::Tables)
        } else if then.bytes > self.limit.bytes {
            Some(MemoryRefusal::Memory)
        } else {
            self.used = then;
            return true;
        };
        false
    }
}

/// The machine has no memory for a growth within the session's limit.
#[derive(Debug, thiserror::Error)]
#[error("the host is out of memory")]
pub struct HostOutOfMemory;

/// A maximum declared by the memory or table itself is not our refusal.
fn within(then: usize, max: Option<usize>) -> bool {
    max.is_none_or(|max| then <= max)
}

/// Distinguishes the causes of a failed growth. wasmtime has no types for them.
/// A growth over the maximum of the type fails without asking us, and only the
/// guest sees it.
fn failed(error: Error) -> Result<()> {
    let text = error.to_string();
    if text.contains("exceeds memory type's limits") {
        Ok(())
    } else {
        Err(error.context(HostOutOfMemory))
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, now: usize, then: usize, max: Option<usize>) -> Result<bool> {
        let bytes = then.saturating_sub(now);
        let allowed = within(then, max) && self.charge(bytes, 0);
        if allowed && bytes > 0 && !self.host.allows_growth(self.used.bytes) {
            return Err(HostOutOfMemory.into());
        }
        let is_image = now == 0 && !self.is_instantiated;
        if allowed
            && !is_image
            && let Some(budget) = &self.budget
        {
            budget.charge(bytes);
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        failed(error)
    }

    fn table_growing(&mut self, now: usize, then: usize, max: Option<usize>) -> Result<bool> {
        // wasmtime passes the lower of the declared maximum and the pool's
        // limit. The pool's limit is at least ours, so a `max` below ours is a
        // declared one.
        let declared = max.filter(|max| *max < self.limit.elements);
        let elements = then.saturating_sub(now);
        Ok(within(then, declared) && self.charge(elements.saturating_mul(ELEMENT), elements))
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        failed(error)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_ITEMS
    }

    fn memories(&self) -> usize {
        MAX_ITEMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut memory = MemoryLimiter::new(100, 0, HostMemory::default());
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 41, None).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Memory));
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 90, None).unwrap());
    }

    #[derive(Debug, Default)]
    struct Charged(std::sync::Mutex<usize>);

    impl MemoryBudget for Charged {
        fn charge(&self, bytes: usize) {
            *self.0.lock().unwrap() += bytes;
        }

        fn wait(&self) -> Option<orwd_model::MemoryWait> {
            None
        }
    }

    #[test]
    fn what_a_guest_grows_by_is_charged_and_its_image_is_not() {
        let budget = Arc::new(Charged::default());
        let mut memory = MemoryLimiter::new(1000, 0, HostMemory::default());
        memory.charge_to(budget.clone());
        let charged = || *budget.0.lock().unwrap();
        assert!(memory.memory_growing(0, 600, None).unwrap());
        assert_eq!(charged(), 0);
        // A start function is the guest's own.
        assert!(memory.memory_growing(600, 610, None).unwrap());
        assert_eq!(charged(), 10);
        memory.end_instantiation();
        assert!(memory.memory_growing(0, 100, None).unwrap());
        assert_eq!(charged(), 110, "a memory that was empty at first");
        assert!(!memory.memory_growing(100, 900, None).unwrap());
        assert_eq!(charged(), 110, "a growth that was refused");
    }

    #[test]
    fn a_growth_over_the_declared_maximum_returns_no_charge() {
        let mut memory = MemoryLimiter::new(100, 0, HostMemory::default());
        for _ in 0..100 {
            assert!(memory.memory_growing(0, 1, None).unwrap());
            let over = wasmtime::format_err!("memory growth exceeds memory type's limits");
            memory.memory_grow_failed(over).unwrap();
        }
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Memory));
    }

    #[test]
    fn a_declared_maximum_is_not_our_refusal() {
        let mut memory = MemoryLimiter::new(100, 100, HostMemory::default());
        assert!(!memory.memory_growing(10, 11, Some(10)).unwrap());
        assert!(!memory.table_growing(10, 11, Some(10)).unwrap());
        assert_eq!(memory.take_refused(), None);
        assert!(memory.memory_growing(0, 100, Some(100)).unwrap());
    }

    #[test]
    fn a_growth_over_the_pool_limit_is_our_refusal() {
        let mut memory = MemoryLimiter::new(1 << 20, 100, HostMemory::default());
        assert!(!memory.table_growing(0, 101, Some(100)).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Tables));
    }

    #[test]
    fn an_out_of_memory_host_ends_the_session() {
        let mut memory = MemoryLimiter::new(100, 100, HostMemory::default());
        assert!(memory.memory_growing(0, 10, None).unwrap());
        let error = memory
            .memory_grow_failed(wasmtime::format_err!("no pages"))
            .unwrap_err();
        assert!(error.downcast_ref::<HostOutOfMemory>().is_some());
    }

    #[test]
    fn tables_are_summed_by_elements_and_are_memory_too() {
        let mut memory = MemoryLimiter::new(100 * ELEMENT, 60, HostMemory::default());
        assert!(memory.table_growing(0, 30, None).unwrap());
        assert!(memory.table_growing(10, 40, None).unwrap());
        assert!(!memory.table_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Tables));
        // Forty elements of memory are left.
        assert!(memory.memory_growing(0, 40 * ELEMENT, None).unwrap());
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Memory));

        let mut memory = MemoryLimiter::new(10 * ELEMENT, 60, HostMemory::default());
        assert!(!memory.table_growing(0, 11, None).unwrap());
        assert_eq!(memory.take_refused(), Some(MemoryRefusal::Memory));
        assert!(memory.table_growing(0, 10, None).unwrap());
    }

    #[test]
    fn a_machine_without_memory_stops_large_guests() {
        let host = HostMemory::default();
        let mut memory = MemoryLimiter::new(1 << 30, 0, host.clone());
        assert!(memory.memory_growing(0, 64 << 20, None).unwrap());
        host.report_shortage(1 << 30);
        assert!(memory.check_host().is_ok());
        let error = memory.memory_growing(0, 1 << 20, None).unwrap_err();
        assert!(error.is::<HostOutOfMemory>());
        assert_eq!(memory.take_refused(), None);
        host.end_shortage();
        assert!(memory.check_host().is_ok());
    }
}
