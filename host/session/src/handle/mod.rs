//! Handles: what clients use of a session.

pub(crate) mod begin_run;
mod session;
pub(crate) mod session_handle;
