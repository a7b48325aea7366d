//! The configuration of the HTTP server.

use std::time::Duration;

use super::metrics::HttpMetrics;
use crate::auth::api_keys::ApiKeys;
use crate::auth::host_check::AllowedHosts;
use crate::auth::proxy_key::ProxyKey;
use crate::limit::connection_limit::PerAddressLimit;
use crate::tls::files::TlsFiles;

/// The limits of the HTTP server, and who may use it. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The size of the body of a call or a creation; a larger one gets a 413.
    pub body_limit: usize,
    /// The size of the body of a group score; a larger one gets a 413.
    pub group_body_limit: usize,
    /// The memory for bodies, of which one client gets half; above it, a
    /// request gets a 503.
    pub request_memory: usize,
    /// The memory for responses that are not read yet, of which one client gets
    /// half; above it, a request gets a 503 and a result waits.
    pub response_memory: usize,
    /// The size of a request line with its headers; a larger one gets a 431.
    pub header_limit: usize,
    /// The time from the first byte of a request head to its last; the
    /// connection is closed afterwards.
    pub header_timeout: Duration,
    /// The time for a request body; a slower one gets a 408.
    pub body_timeout: Duration,
    /// The minimum rate of a request body in bytes per second, after five
    /// seconds; a slower one gets a 408.
    pub body_rate: u64,
    /// The time for which a client may accept no byte of a response, or
    /// acknowledge nothing; the connection is closed afterwards. The result of a
    /// run is kept.
    pub write_timeout: Duration,
    /// The bytes of a response that a client must read each second, as an
    /// average with `write_timeout` as its credit; the connection is closed
    /// afterwards.
    pub response_rate: u64,
    /// The time between two requests on one connection.
    pub idle_timeout: Duration,
    /// The connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// The connections from one address, without those that have sent a valid
    /// API key; a further one gets a 503 and is closed.
    pub per_address: PerAddressLimit,
    /// The connections that use one API key; a further one gets a 503 and is
    /// closed.
    pub connections_per_key: usize,
    /// The certificate of the server; `None` speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The hosts that a request may name; another gets a 403.
    pub hosts: AllowedHosts,
    /// The API keys; a request without one gets a 401. `None` admits everyone.
    pub keys: Option<ApiKeys>,
    /// A proxy that authenticates clients. Then only its requests are served, and
    /// the API keys do not count.
    pub proxy: Option<ProxyKey>,
    /// The wrong API keys from one address, as a burst and per minute; a further
    /// one gets a 429.
    pub auth_failure_rate: u32,
    /// The sessions that one API key may create per second, with a burst of ten
    /// seconds; a further one gets a 429. Without API keys it applies to an
    /// address.
    pub create_rate: u32,
    /// Where responses and connections are counted.
    pub metrics: HttpMetrics,
}
