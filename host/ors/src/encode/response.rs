//! Responses, and the body that carries them.
//!
//! A body tells the access log how it ended, so that the line of a request is
//! written when its last byte is, and says if it never was.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use hyper::{Response, StatusCode};
use orwd_limiter::BudgetExceeded;
use orwd_session::{Run, TaskList};
use serde::Serialize;

use super::json::append_json;
use super::run_stream::{RunStream, StreamAborted};
use crate::connection::access_log::AccessLogEntry;
use crate::limit::client::Client;
use crate::limit::transfer_memory::TransferMemory;

/// The response of a route.
pub(crate) type RouteResponse = Response<Payload>;

/// What a response carries.
pub(crate) enum Payload {
    /// Nothing, or a text of known length.
    Text(Option<Bytes>),
    /// A text of known length in pieces, which others may be sent as well.
    Pieces(Pieces),
    /// Events that are all known.
    Events(Option<Bytes>),
    /// The events of a run.
    Run(Box<RunStream>),
}

/// The rest of a text in pieces.
pub(crate) struct Pieces {
    rest: std::vec::IntoIter<Bytes>,
    length: usize,
}

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Pieces {
        Pieces {
            length: pieces.iter().map(Bytes::len).sum(),
            rest: pieces.into_iter(),
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        let piece = self.rest.next()?;
        self.length -= piece.len();
        Some(piece)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("keep-alive");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

/// Returns a response with JSON text.
pub(crate) fn json_text(status: StatusCode, text: String) -> RouteResponse {
    let mut response = Response::new(Payload::Text(Some(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Returns a response with the JSON of a value.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> RouteResponse {
    let mut text = String::with_capacity(256);
    append_json(&mut text, value);
    json_text(StatusCode::OK, text)
}

/// Returns a response with the tasks of a list, whose bytes are not copied, and
/// charged to the client. `env_name` is the environment's name as the client wrote it.
pub(crate) fn tasks(
    list: &TaskList,
    env_name: &str,
    memory: &TransferMemory,
    client: &Client,
) -> Result<RouteResponse, BudgetExceeded> {
    let mut end = String::from("],\"env_name\":");
    append_json(&mut end, env_name);
    end.push('}');
    let mut pieces = list.pieces().to_vec();
    memory.charge_list(client, &mut pieces)?;
    pieces.insert(0, Bytes::from_static(b"{\"tasks\":["));
    pieces.push(end.into());
    let mut response = Response::new(Payload::Pieces(Pieces::new(pieces)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// Returns a redirect; `None` if the location is not a valid header value.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Option<RouteResponse> {
    let location = HeaderValue::from_bytes(location.as_bytes()).ok()?;
    let mut response = Response::new(Payload::Text(None));
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    // hyper adds it to no response to a HEAD that has no body anyway.
    let length = HeaderValue::from_static("0");
    response.headers_mut().insert(CONTENT_LENGTH, length);
    Some(response)
}

/// Returns a stream of events that are all known.
pub(crate) fn events(text: String) -> RouteResponse {
    event_stream(Payload::Events(Some(text.into())))
}

/// Returns the event stream of a run, whose result is charged to a client.
pub(crate) fn run(run: Run, memory: &TransferMemory, client: Client) -> RouteResponse {
    let stream = RunStream::new(run, &memory.responses, client);
    event_stream(Payload::Run(Box::new(stream)))
}

/// Charges a response to the client until it is written. The other kinds are
/// charged where they are made.
pub(crate) fn charge(
    response: RouteResponse,
    memory: &TransferMemory,
    client: &Client,
) -> Result<RouteResponse, BudgetExceeded> {
    let (parts, payload) = response.into_parts();
    let payload = match payload {
        Payload::Text(Some(bytes)) => Payload::Text(Some(memory.charge_response(client, bytes)?)),
        other => other,
    };
    Ok(Response::from_parts(parts, payload))
}

fn event_stream(payload: Payload) -> RouteResponse {
    let mut response = Response::new(payload);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(CONNECTION, KEEP_ALIVE);
    headers.insert(ACCEL_BUFFERING, NO);
    response
}

/// Makes a response the last of its connection.
pub(crate) fn close_connection(response: &mut RouteResponse) {
    response.headers_mut().insert(CONNECTION, CLOSE);
}

impl Payload {
    /// Returns whether it has a known length and nothing of it is left.
    fn is_known_and_sent(&self) -> bool {
        match self {
            Payload::Text(bytes) => bytes.is_none(),
            Payload::Pieces(pieces) => pieces.length == 0,
            Payload::Events(_) | Payload::Run(_) => false,
        }
    }
}

/// The body of a response, with the access log entry of its request.
pub(crate) struct LoggedBody {
    payload: Payload,
    entry: AccessLogEntry,
}

impl LoggedBody {
    pub(crate) fn new(payload: Payload, mut entry: AccessLogEntry) -> LoggedBody {
        // hyper does not poll an empty body.
        if matches!(payload, Payload::Text(None)) {
            entry.set_complete();
        }
        LoggedBody { payload, entry }
    }
}

impl Body for LoggedBody {
    type Data = Bytes;
    type Error = StreamAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamAborted>>> {
        let this = self.get_mut();
        let polled = match &mut this.payload {
            Payload::Text(bytes) | Payload::Events(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Payload::Pieces(pieces) => Poll::Ready(pieces.next().map(Ok)),
            Payload::Run(stream) => {
                let polled = stream.poll_next(cx);
                this.entry.run_end = stream.run_end();
                this.entry.set_hold(stream.hold());
                polled
            }
        };
        match &polled {
            Poll::Ready(None) => this.entry.set_complete(),
            Poll::Ready(Some(Err(error))) => this.entry.set_aborted(error),
            // hyper does not poll for the end of a body of known length.
            Poll::Ready(Some(Ok(_))) if this.payload.is_known_and_sent() => {
                this.entry.set_complete();
            }
            _ => {}
        }
        polled.map(|item| item.map(|item| item.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_known_and_sent()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.payload {
            Payload::Text(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Payload::Pieces(pieces) => {
                SizeHint::with_exact(u64::try_from(pieces.length).unwrap_or(u64::MAX))
            }
            // A stream is always chunked.
            Payload::Events(_) | Payload::Run(_) => SizeHint::default(),
        }
    }
}
