//! Responses, and the body that carries them.
//!
//! A body tells its request's record how it ended, so that the log line of a
//! request is written when the last byte is, and says if it never was.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};

use super::stream::{BrokenOff, RunStream};
use super::trace::Record;
use orwd_session::Run;

/// What a handler answers.
pub(super) type Answer = Response<Payload>;

/// What a response carries.
pub(super) enum Payload {
    /// Nothing, or a text whose length is told.
    Text(Option<Bytes>),
    /// Events that are all there.
    Events(Option<Bytes>),
    /// The events of a run.
    Run(Box<RunStream>),
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("keep-alive");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

/// A JSON text.
pub(super) fn json(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Payload::Text(Some(text.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// A JSON text that `write` writes.
pub(super) fn written(write: impl FnOnce(&mut String)) -> Answer {
    let mut text = String::with_capacity(256);
    write(&mut text);
    json(StatusCode::OK, text)
}

/// Sends the client elsewhere. `None` if the place cannot stand in a header.
pub(super) fn redirect(status: StatusCode, location: &str) -> Option<Answer> {
    let location = HeaderValue::from_bytes(location.as_bytes()).ok()?;
    let mut answer = Response::new(Payload::Text(None));
    *answer.status_mut() = status;
    answer.headers_mut().insert(LOCATION, location);
    Some(answer)
}

/// Events that are all there.
pub(super) fn events(text: String) -> Answer {
    stream(Payload::Events(Some(text.into())))
}

/// The events of a run.
pub(super) fn run(run: Run) -> Answer {
    stream(Payload::Run(Box::new(RunStream::new(run))))
}

fn stream(payload: Payload) -> Answer {
    let mut answer = Response::new(payload);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(CONNECTION, KEEP_ALIVE);
    headers.insert(BUFFERING, NO);
    answer
}

/// Tells the client that the connection ends with this answer.
pub(super) fn close(answer: &mut Answer) {
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// The body of a response, with the record of its request.
pub(super) struct Outgoing {
    payload: Payload,
    record: Record,
}

impl Outgoing {
    pub(super) fn new(payload: Payload, mut record: Record) -> Outgoing {
        // A connection does not ask for what is nothing.
        if matches!(payload, Payload::Text(None)) {
            record.ended();
        }
        Outgoing { payload, record }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        let polled = match &mut this.payload {
            Payload::Text(bytes) | Payload::Events(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Payload::Run(stream) => stream.poll_next(cx),
        };
        match &polled {
            Poll::Ready(None) => this.record.ended(),
            Poll::Ready(Some(Err(error))) => this.record.broken_off(error),
            // A connection does not ask again for the end of a text whose
            // length it knows.
            Poll::Ready(Some(Ok(_))) if matches!(this.payload, Payload::Text(_)) => {
                this.record.ended();
            }
            _ => {}
        }
        polled.map(|item| item.map(|item| item.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.payload, Payload::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.payload {
            Payload::Text(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            // A stream is chunked, however short.
            Payload::Events(_) | Payload::Run(_) => SizeHint::default(),
        }
    }
}
