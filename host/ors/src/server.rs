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
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

use super::admission::admit;
use super::answer::{self, Outgoing};
use super::body::{Pace, RequestBody};
use super::crowd::{Crowd, Full, PerAddress, Place};
use super::error::Failure;
use super::framing;
use super::handlers::Exchange;
use super::hosts::Hosts;
use super::keys::Keys;
use super::rates::Rates;
use super::socket::{self, Activity, Socket};
use super::trace::{REQUEST_ID, Record};
use orwd_session::Service;

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
    /// The bytes of a body that come each second, once it has had five seconds
    /// to begin with; a slower one is a 408 too.
    pub body_rate: u64,
    /// The time for which a client takes nothing of an answer, or for which
    /// nothing is heard of it though it was sent something. The connection is
    /// closed then; the result of a run is kept.
    pub write_timeout: Duration,
    /// The time between two requests on one connection.
    pub idle_timeout: Duration,
    /// The number of connections at once; more wait to be accepted.
    pub connections: usize,
    /// The number of connections from one address; a further one is closed.
    pub per_address: PerAddress,
    /// The hosts that a request may name.
    pub hosts: Hosts,
    /// The keys of those who may ask; anyone may if there are none.
    pub keys: Option<Keys>,
    /// The wrong keys that may come from one address, at once and each minute;
    /// a further one is a 429.
    pub wrong_keys: u32,
    /// The sessions that one key may create each second, or one address where
    /// there are no keys, and ten times as many at once; a further one is a
    /// 429.
    pub create_rate: u32,
}

/// The least that hyper takes for its buffer.
const LEAST_BUFFER: usize = 8 * 1024;

/// What a connection reads at once, and holds back of an answer, at most.
const BUFFER: usize = 64 * 1024;

/// The time for which nothing is accepted once a connection could not be had.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The time between two lines of the log about the same.
const REMINDER: Duration = Duration::from_secs(60);

struct Server<S> {
    service: S,
    front: Front,
    rates: Rates,
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
        rates: Rates::new(front.create_rate, front.wrong_keys),
        service,
        front,
        stopping: CancellationToken::new(),
    });
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    // Ends with this function, however that ends.
    let mut following = JoinSet::new();
    if let Some(keys) = &server.front.keys {
        following.spawn(keys.clone().follow());
    }
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
    let crowd = Crowd::new(server.front.per_address);
    let mut told = None;
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
            Ok((stream, peer)) => match crowd.enter(peer.ip()) {
                Ok(place) => {
                    connections.spawn(connection(stream, peer.ip(), place, server.clone()));
                }
                Err(Full) => turn_away(&stream, peer.ip(), &mut told),
            },
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

/// What a connection too many is told, as far as it listens.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\n\
    connection: close\r\ncontent-type: application/json\r\ncontent-length: 56\r\n\r\n\
    {\"detail\":\"too many connections come from this address\"}";

/// Closes a connection too many. The log is told once a minute at most.
fn turn_away(stream: &TcpStream, address: IpAddr, told: &mut Option<Instant>) {
    // A socket that has just been made takes so little at once.
    let _ = stream.try_write(TOO_MANY);
    if told.is_none_or(|told| told.elapsed() >= REMINDER) {
        tracing::warn!(%address, "as many connections come from this address as may be");
        *told = Some(Instant::now());
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

async fn connection<S: Service>(
    stream: TcpStream,
    from: IpAddr,
    _place: Option<Place>,
    server: Arc<Server<S>>,
) {
    let front = &server.front;
    if let Err(error) = socket::prepare(&stream, front.write_timeout) {
        tracing::debug!(%error, "a connection is gone already");
        return;
    }
    let activity = Arc::new(Activity::default());
    let socket = Socket::new(
        stream,
        activity.clone(),
        front.header_timeout,
        front.write_timeout,
    );
    let service = service_fn(|request| respond(&server, from, &activity, request));
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
    from: IpAddr,
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
    let mut body = RequestBody::new(
        incoming,
        server.front.body_limit,
        Pace {
            timeout: server.front.body_timeout,
            rate: server.front.body_rate,
        },
        head.headers.contains_key(EXPECT),
    );
    let front = &server.front;
    let keys = front.keys.as_ref();
    let admitted = admit(&head, activity.doubt(), &front.hosts, keys, || {
        server.rates.wrong_key(from)
    });
    let (answered, through) = match admitted {
        Ok(principal) => {
            record.principal = principal.clone();
            let mut exchange = Exchange {
                service: &server.service,
                head: &head,
                body,
                record: &mut record,
                principal,
                from,
                rates: &server.rates,
            };
            let answered = exchange.answer().await;
            (answered, exchange.is_through() && !framing::is_last(&head))
        }
        // What follows a doubtful head may be anything.
        Err(failure @ Failure::Doubtful(_)) => (Err(failure), false),
        Err(failure) => {
            if matches!(failure, Failure::TooManyWrongKeys(_)) {
                // Whoever is at it would fill the log.
                record.quiet();
            }
            body.discard().await;
            (Err(failure), body.ended() && !framing::is_last(&head))
        }
    };
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
