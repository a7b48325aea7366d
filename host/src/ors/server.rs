//! Accepts connections, and lets them come to their end.
//!
//! A connection is a task of its own. When the server is to stop, connections
//! between two requests end at once, the others after the answer that they are
//! at; what is not through after the time of grace is cut off. A client that
//! stalls is given up (see [`Front`]); a process out of file descriptors waits
//! for one instead of spinning.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Outgoing};
use super::body::RequestBody;
use super::handlers::Exchange;
use super::socket::{Activity, Socket};
use super::trace::{REQUEST_ID, Record};
use crate::session::Service;

/// What a client may do to the server. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Front {
    /// The size of a request's body; a larger one is a 413.
    pub body_limit: usize,
    /// The size of a request's line and headers; larger ones are a 431.
    pub header_limit: usize,
    /// The time from the first byte of a request's head to its last. The
    /// connection is closed then.
    pub header_timeout: Duration,
    /// The time that a request's body takes to come; a slower one is a 408.
    pub body_timeout: Duration,
    /// The time for which a client takes nothing of an answer. The connection
    /// is closed then; the result of a run is kept.
    pub write_timeout: Duration,
    /// The time between two requests on one connection.
    pub idle_timeout: Duration,
    /// The number of connections at once; more wait to be accepted.
    pub connections: usize,
}

/// The least that hyper takes for its buffer.
const LEAST_BUFFER: usize = 8 * 1024;

/// What a connection reads at once, and holds back of an answer, at most.
const BUFFER: usize = 64 * 1024;

/// The time for which nothing is accepted once a connection could not be had.
const BACK_OFF: Duration = Duration::from_millis(100);

struct Server<S> {
    service: S,
    front: Front,
    http: http1::Builder,
    stopping: CancellationToken,
}

/// Serves until `shutdown` resolves: then accepts nothing more, tells
/// connections to finish, waits up to `grace` for the answers that are under
/// way, and returns.
pub async fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    front: Front,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<()> {
    let server = Arc::new(Server {
        http: protocol(&front),
        service,
        front,
        stopping: CancellationToken::new(),
    });
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    accept(&listener, &server, &mut connections, shutdown.as_mut()).await;
    drop(listener);
    server.stopping.cancel();
    let drained = tokio::time::timeout(grace, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        let cut = connections.len();
        tracing::warn!(
            connections = cut,
            "the time of grace is over; the rest is cut off"
        );
        connections.shutdown().await;
    }
    Ok(())
}

fn protocol(front: &Front) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // From the end of an answer to the end of the next request's head.
        // Within that, the socket watches the head by itself.
        .header_read_timeout(front.idle_timeout)
        .max_header_size(front.header_limit)
        .max_buf_size(front.header_limit.max(BUFFER).max(LEAST_BUFFER));
    http
}

/// Accepts connections until it is time to stop.
async fn accept<S: Service>(
    listener: &TcpListener,
    server: &Arc<Server<S>>,
    connections: &mut JoinSet<()>,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) {
    loop {
        let room = connections.len() < server.front.connections;
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => return,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept(), if room => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, server.clone()));
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::select! {
                    () = shutdown.as_mut() => return,
                    () = tokio::time::sleep(BACK_OFF) => {}
                }
            }
        }
    }
}

/// Whether the connection itself is gone, and the next one may be well.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// A connection's task should never die; if one does, that must be seen.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task died");
    }
}

async fn connection<S: Service>(stream: TcpStream, server: Arc<Server<S>>) {
    // Events must leave when they are written.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone already");
        return;
    }
    let activity = Arc::new(Activity::default());
    let front = &server.front;
    let socket = Socket::new(
        stream,
        activity.clone(),
        front.header_timeout,
        front.write_timeout,
    );
    let service = service_fn(|request| respond(&server, &activity, request));
    let mut connection = pin!(server.http.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = server.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %chain(&error), "a connection ended badly");
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Whether the client uses the connection for this request alone.
fn wants_close(head: &Parts) -> bool {
    head.version != Version::HTTP_11
        || head
            .headers
            .get(CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

async fn respond<S: Service>(
    server: &Server<S>,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let (head, incoming) = request.into_parts();
    let mut record = Record::new(
        head.method.clone(),
        head.uri.clone(),
        &head.headers,
        activity.clone(),
    );
    let body = RequestBody::new(
        incoming,
        server.front.body_limit,
        server.front.body_timeout,
        head.headers.contains_key(EXPECT),
    );
    let mut exchange = Exchange {
        service: &server.service,
        head: &head,
        body,
        record: &mut record,
    };
    let answered = exchange.answer().await;
    let through = exchange.is_through();
    let mut answer = answered.unwrap_or_else(|failure| {
        let (answer, detail) = failure.answer();
        record.detail = detail;
        answer
    });
    if !through || wants_close(&head) || server.stopping.is_cancelled() {
        answer::close(&mut answer);
    }
    answer.headers_mut().insert(REQUEST_ID, record.id());
    record.answered(answer.status());
    Ok(answer.map(|payload| Outgoing::new(payload, record)))
}
