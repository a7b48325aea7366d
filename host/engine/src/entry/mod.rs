//! Entries into a guest: turns, budgets and faults.

pub(crate) mod error;
pub(crate) mod fault;
mod scheduled_guest;
pub(crate) mod store_state;
