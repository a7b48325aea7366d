//! Memory of a session, over all its linear memories and tables.
//!
//! wasmtime's own limits hold for each memory by itself, and a component can
//! have dozens, so this one sums. A refused growth looks to the guest like any
//! allocation that fails; that it happened is remembered, since most guests
//! then abort and the trap alone does not say why.

use wasmtime::{Error, ResourceLimiter, Result};

/// Table elements of a session, all tables together; an element is a pointer.
const TABLE_ELEMENTS: usize = 100_000;

/// Core instances, memories and tables of a session, each.
const PARTS: usize = 100;

/// The account of one session.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: usize,
    elements: usize,
    /// The last charge, taken back if the growth then fails.
    pending: Charge,
    refused: bool,
}

#[derive(Debug, Clone, Copy)]
enum Charge {
    Nothing,
    Bytes(usize),
    Elements(usize),
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Memory {
        Memory {
            limit,
            used: 0,
            elements: 0,
            pending: Charge::Nothing,
            refused: false,
        }
    }

    /// Whether growth was refused since this was last asked.
    pub(crate) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    fn undo(&mut self) {
        match std::mem::replace(&mut self.pending, Charge::Nothing) {
            Charge::Nothing => {}
            Charge::Bytes(bytes) => self.used -= bytes,
            Charge::Elements(elements) => self.elements -= elements,
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, then: usize, _max: Option<usize>) -> Result<bool> {
        let growth = then.saturating_sub(now);
        let used = self.used.saturating_add(growth);
        if used > self.limit {
            self.pending = Charge::Nothing;
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        self.pending = Charge::Bytes(growth);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, now: usize, then: usize, _max: Option<usize>) -> Result<bool> {
        let growth = then.saturating_sub(now);
        let elements = self.elements.saturating_add(growth);
        if elements > TABLE_ELEMENTS {
            self.pending = Charge::Nothing;
            self.refused = true;
            return Ok(false);
        }
        self.elements = elements;
        self.pending = Charge::Elements(growth);
        Ok(true)
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
        let mut memory = Memory::new(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert!(!memory.take_refused());
        assert!(!memory.memory_growing(40, 41, None).unwrap());
        assert!(memory.take_refused());
        assert!(!memory.take_refused());
        assert!(!memory.memory_growing(40, 90, None).unwrap());

        let mut memory = Memory::new(100);
        assert!(memory.memory_growing(0, 100, None).unwrap());
        memory
            .memory_grow_failed(wasmtime::format_err!("no pages"))
            .unwrap();
        assert!(memory.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn tables_are_summed_too() {
        let mut memory = Memory::new(0);
        assert!(memory.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!memory.table_growing(0, 1, None).unwrap());
        assert!(memory.take_refused());
    }
}
