//! Inspection and forking, outside the protocol.

mod fork;
mod service;
pub(crate) mod steps;
mod summary;
