//! Compilation to native code, and the cache of its results.

pub(crate) mod cache;
pub(crate) mod code;
pub(crate) mod compiler;
pub(crate) mod error;
mod frame;
mod subprocess;
pub(crate) mod worker;
