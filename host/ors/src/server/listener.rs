//! Accepts connections, and drains them on shutdown.
//!
//! Each connection is a task. On shutdown, idle connections close at once, and
//! the others after their current response; what remains after the grace period
//! is aborted. A stalled client is disconnected (see [`ServerConfig`]). When the
//! process is out of file descriptors, accepting pauses instead of spinning.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use orwd_session::SessionService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::config::ServerConfig;
use super::refusals::{self, Refusals};
use super::service::{HttpService, Peer, respond};
use crate::connection::activity::ConnectionActivity;
use crate::connection::timeout_stream::{self, ReadPace, TimeoutStream};
use crate::connection::transport::{HandshakeError, Transport};
use crate::limit::connection_limit::{AddressLimitReached, ConnectionLimiter, ConnectionPermit};
use crate::limit::log_throttle::LogThrottle;
use crate::limit::rate_limit::RateLimits;
use crate::limit::transfer_memory::TransferMemory;

/// The smallest read buffer that hyper allows.
const HYPER_MIN_BUFFER: usize = 8 * 1024;

/// The size of a connection's read buffer, and of its buffered response.
const BUFFER_SIZE: usize = 64 * 1024;

/// The pause after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

struct Server<S> {
    http: http1::Builder,
    service: HttpService<S>,
}

/// Serves until `shutdown` resolves. Then accepts no connection, drains those
/// that are open for up to `grace`, and returns.
pub async fn serve<S: SessionService>(
    listener: TcpListener,
    service: S,
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<()> {
    let server = Arc::new(Server {
        http: http_builder(&config),
        service: HttpService {
            rate_limits: RateLimits::new(config.create_rate, config.auth_failure_rate),
            deployment_warning: LogThrottle::default(),
            memory: TransferMemory::new(config.request_memory, config.response_memory),
            sessions: service,
            config,
            stopping: CancellationToken::new(),
        },
    });
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    // Aborts its tasks when this function returns.
    let mut file_watches = JoinSet::new();
    if let Some(keys) = &server.service.config.keys {
        file_watches.spawn(keys.clone().watch_file());
    }
    if let Some(tls) = &server.service.config.tls {
        file_watches.spawn(tls.clone().watch());
    }
    accept(&listener, &server, &mut connections, shutdown.as_mut()).await;
    drop(listener);
    server.service.stopping.cancel();
    let drained = tokio::time::timeout(grace, async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    });
    if drained.await.is_err() {
        let remaining = connections.len();
        tracing::warn!(
            connections = remaining,
            "connections aborted after the grace period"
        );
        connections.shutdown().await;
    }
    Ok(())
}

fn http_builder(config: &ServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Runs from the end of a response to the end of the next request head.
        // Within it, the socket enforces the timeout of the head itself.
        .header_read_timeout(config.idle_timeout)
        .max_header_size(config.header_limit)
        .max_buf_size(config.header_limit.max(BUFFER_SIZE).max(HYPER_MIN_BUFFER));
    http
}

/// Accepts connections until shutdown.
async fn accept<S: SessionService>(
    listener: &TcpListener,
    server: &Arc<Server<S>>,
    connections: &mut JoinSet<()>,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) {
    let config = &server.service.config;
    let limiter = ConnectionLimiter::new(
        config.max_connections,
        config.per_address,
        config.connections_per_key,
    );
    let refusals = Refusals::new(config.per_address.connections, config.tls.clone());
    loop {
        let (open, limit) = (connections.len(), config.max_connections);
        config.metrics.set_connections(open, limit);
        let below_limit = open < limit;
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => return,
            Some(ended) = connections.join_next() => {
                report_panic(ended);
                continue;
            }
            accepted = listener.accept(), if below_limit => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match limiter.admit(peer.ip()) {
                Ok(permit) => {
                    connections.spawn(connection(stream, peer.ip(), permit, server.clone()));
                }
                Err(AddressLimitReached) => {
                    config.metrics.responded(refusals::STATUS);
                    refusals.refuse(stream, peer.ip());
                }
            },
            Err(error) if is_peer_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connection");
                tokio::select! {
                    () = shutdown.as_mut() => return,
                    () = tokio::time::sleep(ACCEPT_BACKOFF) => {}
                }
            }
        }
    }
}

/// Returns whether only this one connection failed.
fn is_peer_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Logs a panic in a connection's task, which is a bug.
fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "connection task panicked");
    }
}

async fn connection<S: SessionService>(
    stream: TcpStream,
    from: IpAddr,
    permit: ConnectionPermit,
    server: Arc<Server<S>>,
) {
    let config = &server.service.config;
    if let Err(error) = timeout_stream::configure(&stream, config.write_timeout) {
        tracing::debug!(%error, "connection closed before its first request");
        return;
    }
    let start = Instant::now();
    let accepting = Transport::accept(stream, config.tls.as_ref());
    let accepted = tokio::select! {
        biased;
        // No request has begun.
        () = server.service.stopping.cancelled() => return,
        accepted = tokio::time::timeout(config.header_timeout, accepting) => accepted,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return handshake_failed(error, from, &server.service).await,
        Err(_) => {
            tracing::debug!(address = %from, "the client does not finish the TLS handshake");
            return;
        }
    };
    let activity = Arc::new(ConnectionActivity::default());
    let stream = TimeoutStream::new(
        stream,
        start,
        activity.clone(),
        config.header_timeout,
        ReadPace {
            timeout: config.write_timeout,
            min_rate: config.response_rate,
        },
    );
    let peer = Peer {
        address: from,
        permit,
        activity,
    };
    let service = service_fn(|request| respond(&server.service, &peer, request));
    let mut connection = pin!(server.http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = server.service.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        let unreadable = error.is_parse() || error.is_parse_too_large();
        // These lines would fill the log.
        if unreadable && server.service.rate_limits.unreadable(from) {
            tracing::info!(address = %from, error = %error_chain(&error), "request unreadable");
        } else {
            tracing::debug!(address = %from, error = %error_chain(&error), "connection failed");
        }
    }
}

/// Logs a connection without requests, and ends it.
async fn handshake_failed<S>(error: HandshakeError, from: IpAddr, service: &HttpService<S>) {
    // These lines would fill the log.
    if service.rate_limits.unreadable(from) {
        tracing::info!(address = %from, %error, "TLS handshake failed");
    } else {
        tracing::debug!(address = %from, %error, "TLS handshake failed");
    }
    if let HandshakeError::PlainHttp(stream) = error {
        refusals::drain(stream).await;
    }
}

/// Formats an error with all its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
