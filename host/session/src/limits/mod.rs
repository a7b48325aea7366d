//! What one key may use, what is held at once, and which sessions stay in memory.

pub(crate) mod eviction;
pub(crate) mod guest_memory;
pub(crate) mod history_reader;
pub(crate) mod listings;
pub(crate) mod memory_pressure;
pub(crate) mod permit_turns;
pub(crate) mod quota;
pub(crate) mod resume_limiter;
