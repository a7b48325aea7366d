//! The process that starts the others.

pub(crate) mod host;
mod processes;
pub(crate) mod protocol;
pub(crate) mod run;
