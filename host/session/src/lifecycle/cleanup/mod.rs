//! What leaves by itself: idle sessions, and ended ones after the retention time.

pub(super) mod reaper;
pub(super) mod retention;
mod retention_clock;
