//! The listener for operators: metrics and probes, apart from the protocol.
//!
//! It has an address of its own, so that metrics are not public by accident. It
//! needs no key, holds few connections, and reads no bodies.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use orwd_session::Readiness;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::auth::host_check::AllowedHosts;
use crate::error::status::host_rejected;

/// Connections at once. More wait to be accepted.
const MAX_CONNECTIONS: usize = 32;

/// The time for a request head, and between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time for a whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);

/// The pause after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const GET: HeaderValue = HeaderValue::from_static("GET");

/// What an operator asks a server.
pub trait Operations: Send + Sync + 'static {
    /// Returns whether the server takes work; none while it starts.
    fn readiness(&self) -> impl Future<Output = Option<Readiness>> + Send;

    /// Returns all metrics in the OpenMetrics format; an error if they cannot be
    /// written.
    fn metrics(&self) -> impl Future<Output = Result<String, std::fmt::Error>> + Send;
}

/// Serves operators until the future is dropped. Requests may name these hosts.
pub async fn serve_operations(
    listener: TcpListener,
    hosts: AllowedHosts,
    operations: Arc<impl Operations>,
) {
    let hosts = Arc::new(hosts);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (hosts, operations) = (hosts.clone(), operations.clone());
                tokio::spawn(async move {
                    let connection = connection(stream, &hosts, &*operations);
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
                    drop(place);
                });
            }
            Err(error) => {
                log_refusal(&error);
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn log_refusal(error: &io::Error) {
    tracing::warn!(%error, "cannot accept connection of an operator");
}

async fn connection(stream: TcpStream, hosts: &AllowedHosts, operations: &impl Operations) {
    let service = service_fn(|request| respond(hosts, operations, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection of an operator failed");
    }
}

async fn respond(
    hosts: &AllowedHosts,
    operations: &impl Operations,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A web page in the browser of this machine's user may be behind it.
    if let Err(rejection) = hosts.check(request.headers()) {
        return Ok(detail(StatusCode::FORBIDDEN, &host_rejected(&rejection)));
    }
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    let response = match request.uri().path() {
        "/metrics" | "/ready" | "/health" if !is_read => {
            let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            response.headers_mut().insert(ALLOW, GET);
            response
        }
        "/metrics" => match operations.metrics().await {
            Ok(text) => with_type(StatusCode::OK, OPENMETRICS, text),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                detail(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "metrics cannot be written; see the log",
                )
            }
        },
        "/ready" => {
            let (status, text) = status(operations.readiness().await);
            with_type(status, JSON, json!({ "status": text }).to_string())
        }
        "/health" => with_type(StatusCode::OK, JSON, json!({ "status": "ok" }).to_string()),
        _ => detail(
            StatusCode::NOT_FOUND,
            "Not Found; there are /metrics, /ready and /health",
        ),
    };
    Ok(response)
}

/// Returns how a probe is answered; none while the server starts.
pub(crate) fn status(readiness: Option<Readiness>) -> (StatusCode, &'static str) {
    match readiness {
        Some(Readiness::Ready) => (StatusCode::OK, "ready"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Some(Readiness::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Some(Readiness::JournalUnavailable) => {
            (StatusCode::SERVICE_UNAVAILABLE, "journal unavailable")
        }
    }
}

fn detail(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    with_type(status, JSON, json!({ "detail": text }).to_string())
}

fn with_type(status: StatusCode, kind: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
