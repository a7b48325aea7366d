//! The clock of a session, and waiting for it.

pub(crate) mod clock;
pub(crate) mod poll;
