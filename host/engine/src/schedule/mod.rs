//! Shares the CPUs between guests: by owner first, then by instance.

pub(crate) mod account;
pub(crate) mod run_queue;
pub(crate) mod scheduler;
