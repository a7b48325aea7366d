//! Entries into a guest: turns, budgets and faults.

pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod result_gate;
mod scheduled_guest;
pub(crate) mod store_state;
