//! Responds to connections above the per-address limit.
//!
//! A connection that is closed while its request is unread is reset, and the
//! client may lose the response. So what it sends is read for a moment. The
//! response tells clients to wait and not to give up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::limit::log_throttle::LogThrottle;

/// The most refusals at once for which a connection is read.
const MAX_LINGERING: usize = 256;

/// How long, and how many bytes, a refused connection is read.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 * 1024;

/// The refusals of a server.
pub(super) struct Refusals {
    response: Arc<str>,
    lingering: Arc<Semaphore>,
    warning: LogThrottle,
}

impl Refusals {
    /// Creates refusals that name this limit.
    pub(super) fn new(limit: usize) -> Refusals {
        let body = format!(
            "{{\"detail\":\"too many connections come from this address: {limit} are allowed \
             (--max-connections-per-address)\"}}"
        );
        let response = format!(
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nx-backend-state: starting\r\n\
             connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Refusals {
            response: response.into(),
            lingering: Arc::new(Semaphore::new(MAX_LINGERING)),
            warning: LogThrottle::default(),
        }
    }

    /// Responds, and closes the connection.
    pub(super) fn refuse(&self, stream: TcpStream, address: IpAddr) {
        if self.warning.allows() {
            tracing::warn!(%address, "per-address connection limit reached");
        }
        // The buffer of a new socket has space for this.
        let sent = stream.try_write(self.response.as_bytes());
        let place = self.lingering.clone().try_acquire_owned();
        let (Ok(_), Ok(place)) = (sent, place) else {
            return;
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LINGER, drain(stream)).await;
            drop(place);
        });
    }
}

/// Reads what the client sends, until it closes.
async fn drain(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let mut sent = stream.take(LINGER_BYTES);
        let _ = tokio::io::copy(&mut sent, &mut tokio::io::sink()).await;
    }
}
