//! Inspection and forking, outside the protocol.

mod fork;
mod service;
mod shared_past;
pub(crate) mod steps;
mod summary;
