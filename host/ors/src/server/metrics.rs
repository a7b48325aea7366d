//! What the server counts of requests and connections.

use orwd_metrics::StatusCounter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The statuses of the contract. Others are shown once they occur.
const STATUSES: [u16; 16] = [
    200, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 500, 503,
];

/// Counts responses, and the connections that are open. Clones share the counts.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    responses: StatusCounter,
    connections: Gauge,
    max_connections: Gauge,
}

impl Default for HttpMetrics {
    fn default() -> HttpMetrics {
        HttpMetrics {
            responses: StatusCounter::new(&STATUSES),
            connections: Gauge::default(),
            max_connections: Gauge::default(),
        }
    }
}

impl HttpMetrics {
    /// Adds the counts to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_responses",
            "Responses to requests of clients, by status",
            self.responses.clone(),
        );
        registry.register(
            "http_connections",
            "Open connections of clients",
            self.connections.clone(),
        );
        registry.register(
            "http_connections_limit",
            "The most connections that are accepted",
            self.max_connections.clone(),
        );
    }

    /// Counts a response with this status.
    pub(super) fn responded(&self, status: u16) {
        self.responses.count(status);
    }

    /// Sets how many connections are open, of this many.
    pub(super) fn set_connections(&self, open: usize, limit: usize) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.connections.set(number(open));
        self.max_connections.set(number(limit));
    }
}
