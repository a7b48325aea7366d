//! Inspection and forking, outside the protocol.

mod fork;
mod service;
mod summary;
