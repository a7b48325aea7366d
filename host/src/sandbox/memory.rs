//! Memory of a session, over all its linear memories and tables.
//!
//! wasmtime's own limits hold for each memory by itself, and a component can
//! have dozens, so this one sums. A refused growth looks to the guest like any
//! allocation that fails; that it happened is remembered, since most guests
//! then abort and the trap alone does not say why.

use wasmtime::{Error, ResourceLimiter, Result};

/// Bytes of a table's element, which is a pointer of the host's.
const ELEMENT: usize = size_of::<usize>();

/// Core instances, memories and tables of a session, each.
const PARTS: usize = 100;

/// The account of one session.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: Charge,
    used: Charge,
    /// The last charge, taken back if the growth then fails.
    pending: Charge,
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
pub(crate) enum Refused {
    Memory,
    Tables,
}

impl Memory {
    /// An account of so many bytes and table elements.
    pub(crate) fn new(bytes: usize, elements: usize) -> Memory {
        Memory {
            limit: Charge { bytes, elements },
            used: Charge::default(),
            pending: Charge::default(),
            refused: None,
        }
    }

    /// The last growth refused since this was asked before.
    pub(crate) fn take_refused(&mut self) -> Option<Refused> {
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
            self.pending = Charge { bytes, elements };
            return true;
        };
        // What is refused was not charged, and must not be given back.
        self.pending = Charge::default();
        false
    }

    fn undo(&mut self) {
        let Charge { bytes, elements } = std::mem::take(&mut self.pending);
        self.used.bytes -= bytes;
        self.used.elements -= elements;
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, then: usize, _max: Option<usize>) -> Result<bool> {
        Ok(self.charge(then.saturating_sub(now), 0))
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, now: usize, then: usize, _max: Option<usize>) -> Result<bool> {
        let elements = then.saturating_sub(now);
        Ok(self.charge(elements.saturating_mul(ELEMENT), elements))
    }

    fn table_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.undo();
        Ok(())
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
    fn memories_are_summed_and_failed_growth_is_given_back() {
        let mut memory = Memory::new(100, 0);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 41, None).unwrap());
        assert_eq!(memory.take_refused(), Some(Refused::Memory));
        assert_eq!(memory.take_refused(), None);
        assert!(!memory.memory_growing(40, 90, None).unwrap());

        let mut memory = Memory::new(100, 0);
        let failed = || wasmtime::format_err!("no pages");
        assert!(memory.memory_growing(0, 100, None).unwrap());
        memory.memory_grow_failed(failed()).unwrap();
        assert!(memory.memory_growing(0, 100, None).unwrap());
        // A refused growth was never charged, so nothing is given back.
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        memory.memory_grow_failed(failed()).unwrap();
        assert!(!memory.memory_growing(0, 1, None).unwrap());
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
        memory
            .table_grow_failed(wasmtime::format_err!("no room"))
            .unwrap();
        assert!(memory.memory_growing(0, 10 * ELEMENT, None).unwrap());
    }
}
