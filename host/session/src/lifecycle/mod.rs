//! Creates, finds, expires and removes sessions.

pub(crate) mod create;
mod create_retry;
pub(crate) mod manager;
mod readiness;
mod reaper;
pub(crate) mod registry;
mod retention;
mod retention_clock;
mod service;
pub(crate) mod table;
