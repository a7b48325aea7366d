//! How many connections and how many expensive requests a client may have.

pub(crate) mod client_network;
pub(crate) mod connection_limit;
pub(crate) mod log_throttle;
pub(crate) mod rate_limit;
