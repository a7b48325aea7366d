//! The headers of the protocol and of orwd.

pub(crate) mod deployment;
pub(crate) mod idempotency;
pub(crate) mod secrets;
pub(crate) mod seed;
pub(crate) mod session;
