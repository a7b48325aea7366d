//! The process that sends requests, and its side in the serving process.

pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod frame;
pub(crate) mod keeper;
pub(crate) mod server;
