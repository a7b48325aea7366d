//! What one key may use, and which sessions stay in memory.

pub(crate) mod eviction;
pub(crate) mod memory_pressure;
pub(crate) mod quota;
pub(crate) mod resume_limiter;
