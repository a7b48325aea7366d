//! The requests of sessions: which version they are for, and its host process.

pub(crate) mod forward;
pub(crate) mod idle;
pub(crate) mod instances;
pub(crate) mod pending;
pub(crate) mod proxy;
pub(crate) mod readiness;
pub(crate) mod target;
pub(crate) mod versions;
