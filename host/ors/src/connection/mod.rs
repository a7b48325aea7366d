//! One connection: its socket, the framing of its requests, their bodies, and
//! their access log.

pub(crate) mod access_log;
pub(crate) mod activity;
pub(crate) mod body;
pub(crate) mod framing;
pub(crate) mod held_write;
pub(crate) mod timeout_stream;
pub(crate) mod transport;
