//! Creates, finds, expires and removes sessions.

mod cleanup;
pub(crate) mod create;
mod create_retry;
pub(crate) mod manager;
pub(crate) mod owner_index;
mod readiness;
pub(crate) mod registry;
mod service;
pub(crate) mod table;
