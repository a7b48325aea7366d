//! Entries into a guest: scheduling, budgets and faults.

pub(crate) mod error;
mod fault;
mod scheduler;
pub(crate) mod store_state;
