//! The ORS protocol from a client's point of view.

mod client;
mod event_stream;
mod sse;

pub use client::{
    OrsClient, SESSION_HEADER, SessionClient, TaskSelector, fresh_id, secrets_header,
};
pub use event_stream::{EventStream, StreamTranscript};
pub use sse::{SseEvent, SseItem, SseParser};
