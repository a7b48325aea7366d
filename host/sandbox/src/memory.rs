//! Memory of a session, over all its linear memories and tables.
//!
//! wasmtime's own limits hold for each memory by itself, and a component can
//! have dozens, so this one sums. A refused growth looks to the guest like any
//! allocation that fails; that it happened is remembered, since most guests
//! then abort and the trap alone does not say why.
//!
//! What was charged is never given back. The engine reports failures without
//! saying whether it asked before, so that a growth which cannot be (beyond
//! what a memory may ever hold) would give back the charge of an earlier one
//! that succeeded. A growth that was allowed can then only fail because the
//! machine has no memory left: that ends the session as the host's own failure,
//! since what a guest sees may not depend on the machine it runs on.

use wasmtime::{Error, ResourceLimiter, Result};

/// Bytes of a table's element, which is a pointer of the host's.
const ELEMENT: usize = size_of::<usize>();

/// Core instances, memories and tables of a session, each.
const PARTS: usize = 100;

/// The account of one session.
#[derive(Debug)]
pub struct Memory {
    limit: Charge,
    used: Charge,
    refused: Option<Refused>,
}

/// What a growth costs. A table costs memory too.
#[derive(Debug, Clone, Copy, Default)]
struct Charge {
    bytes: usize,
    elements: usize,
}

/// What there was not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Growth of a linear memory.
    Memory,
    /// Growth of a table.
    Tables,
}

impl Memory {
    /// An account of so many bytes and table elements.
    pub fn new(bytes: usize, elements: usize) -> Memory {
        Memory {
            limit: Charge { bytes, elements },
            used: Charge::default(),
            refused: None,
        }
    }

    /// The last growth refused since this was asked before.
    pub fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    /// Makes a charge, or refuses it and leaves the account as it is.
    fn charge(&mut self, bytes: usize, elements: usize) -> bool {
        let then = Charge {
            bytes: self.used.bytes.saturating_add(bytes),
            elements: self.used.elements.saturating_add(elements),
        };
        self.refused = if then.elements > self.limit.elements {
            Some(Refused::Tables)
        } else if then.bytes > self.limit.bytes {
            Some(Refused::Memory)
        } else {
            self.used = then;
            return true;
        };
        false
    }
}

/// The machine has no memory left for a growth that the session has a right to.
#[derive(Debug, thiserror::Error)]
#[error("the machine has no memory left for it")]
pub struct Starved;

/// What a memory or a table declares for itself is not ours to charge.
fn within(then: usize, max: Option<usize>) -> bool {
    max.is_none_or(|max| then <= max)
}

/// Sorts out why a growth failed. The engine has no types for it: what no
/// memory or table can ever hold it says without having asked us, and the guest
/// sees that its growth failed.
fn failed(error: Error) -> Result<()> {
    let text = error.to_string();
    if text.contains("exceeds memory type's limits") {
        Ok(())
    } else {
        Err(error.context(Starved))
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, then: usize, max: Option<usize>) -> Result<bool> {
        Ok(within(then, max) && self.charge(then.saturating_sub(now), 0))
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        failed(error)
    }

    fn table_growing(&mut self, now: usize, then: usize, max: Option<usize>) -> Result<bool> {
        // The engine tells the least of what the table declares and what any may
        // have, and the second is no less than the limit: that one is ours.
        let declared = max.filter(|max| *max < self.limit.elements);
        let elements = then.saturating_sub(now);
        Ok(within(then, declared) && self.charge(elements.saturating_mul(ELEMENT), elements))
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        failed(error)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut memory = Memory::new(100, 0);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 41, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Memory));
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 90, None).unwrap());
    }

    #[test]
    fn a_growth_that_cannot_be_gives_nothing_back() {
        let mut memory = Memory::new(100, 0);
        for _ in 0..100 {
            assert!(memory.memory_growing(0, 1, None).unwrap());
            let beyond = wasmtime::format_err!("memory growth exceeds memory type's limits");
            memory.memory_grow_failed(beyond).unwrap();
        }
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Memory));
    }

    #[test]
    fn what_a_memory_declares_for_itself_is_not_refused_by_us() {
        let mut memory = Memory::new(100, 100);
        assert!(!memory.memory_growing(10, 11, Some(10)).unwrap());
        assert!(!memory.table_growing(10, 11, Some(10)).unwrap());
        assert_eq!(memory.take_refused(), None);
        assert!(memory.memory_growing(0, 100, Some(100)).unwrap());
    }

    #[test]
    fn what_no_table_may_have_is_refused_by_us() {
        let mut memory = Memory::new(1 << 20, 100);
        assert!(!memory.table_growing(0, 101, Some(100)).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Tables));
    }

    #[test]
    fn a_machine_without_memory_is_no_answer_to_a_guest() {
        let mut memory = Memory::new(100, 100);
        assert!(memory.memory_growing(0, 10, None).unwrap());
        let error = memory
            .memory_grow_failed(wasmtime::format_err!("no pages"))
            .unwrap_err();
        assert!(error.downcast_ref::<Starved>().is_some());
    }

    #[test]
    fn tables_are_summed_by_elements_and_are_memory_too() {
        let mut memory = Memory::new(100 * ELEMENT, 60);
        assert!(memory.table_growing(0, 30, None).unwrap());
        assert!(memory.table_growing(10, 40, None).unwrap());
        assert!(!memory.table_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Tables));
        // Forty elements are left of the memory.
        assert!(memory.memory_growing(0, 40 * ELEMENT, None).unwrap());
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Memory));

        let mut memory = Memory::new(10 * ELEMENT, 60);
        assert!(!memory.table_growing(0, 11, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Memory));
        assert!(memory.table_growing(0, 10, None).unwrap());
    }
}
