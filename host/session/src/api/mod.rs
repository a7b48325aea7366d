//! What the protocol sees of sessions.
//!
//! The HTTP layer is written against these traits. It names neither the engine
//! nor the session table, and each status it sends has one error variant here.

pub(crate) mod charged;
pub(crate) mod content;
pub(crate) mod create;
pub(crate) mod error;
pub(crate) mod principal;
pub(crate) mod request;
pub(crate) mod service;
pub(crate) mod summary;
