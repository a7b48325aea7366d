//! Responds to connections above the per-address limit.
//!
//! A connection that is closed while its request is unread is reset, and the
//! client may lose the response. So what it sends is read for a moment. The
//! response tells clients to wait and not to give up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::connection::transport::Transport;
use crate::limit::log_throttle::LogThrottle;
use crate::tls::files::TlsFiles;

/// The most refusals at once for which a connection is read.
const MAX_LINGERING: usize = 256;

/// How long, and how many bytes, a refused connection is read.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 * 1024;

/// The status of each refusal.
pub(super) const STATUS: u16 = 503;

/// The refusals of a server.
pub(super) struct Refusals {
    tls: Option<TlsFiles>,
    response: Arc<str>,
    lingering: Arc<Semaphore>,
    warning: LogThrottle,
}

impl Refusals {
    /// Creates refusals that name this limit, over TLS if there is a certificate.
    pub(super) fn new(limit: usize, tls: Option<TlsFiles>) -> Refusals {
        let body = format!(
            "{{\"detail\":\"too many connections come from this address: {limit} are allowed, and \
             fewer while the server has few left (--max-connections-per-address, \
             --max-connections)\"}}"
        );
        let response = format!(
            "HTTP/1.1 {STATUS} Service Unavailable\r\nretry-after: 2\r\nx-backend-state: starting\r\n\
             connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Refusals {
            tls,
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
        let sent = match &self.tls {
            Some(_) => Ok(0),
            None => stream.try_write(self.response.as_bytes()),
        };
        let place = self.lingering.clone().try_acquire_owned();
        let (Ok(_), Ok(place)) = (sent, place) else {
            return;
        };
        let (tls, response) = (self.tls.clone(), self.response.clone());
        tokio::spawn(async move {
            match tls {
                None => drain(stream).await,
                Some(tls) => {
                    let refused = respond(stream, &tls, &response);
                    if let Ok(Some(stream)) = tokio::time::timeout(LINGER, refused).await {
                        drain(stream).await;
                    }
                }
            }
            drop(place);
        });
    }
}

/// Responds after the TLS handshake.
async fn respond(stream: TcpStream, tls: &TlsFiles, response: &str) -> Option<Transport> {
    let mut stream = Transport::accept(stream, Some(tls)).await.ok()?;
    stream.write_all(response.as_bytes()).await.ok()?;
    Some(stream)
}

/// Ends a connection after a response, and reads what the client sends for a
/// moment.
pub(super) async fn drain(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let drained = async {
        if stream.shutdown().await.is_ok() {
            let mut sent = stream.take(LINGER_BYTES);
            let _ = tokio::io::copy(&mut sent, &mut tokio::io::sink()).await;
        }
    };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
