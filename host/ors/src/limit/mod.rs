//! What a client may have at once: connections, expensive requests, and memory.

pub(crate) mod client;
pub(crate) mod client_network;
pub(crate) mod connection_limit;
pub(crate) mod log_throttle;
pub(crate) mod rate_limit;
pub(crate) mod transfer_memory;
