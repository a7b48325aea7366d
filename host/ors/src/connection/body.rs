//! Reads request bodies, within a size, a time and a minimum rate.
//!
//! The minimum rate ends a body that trickles before its timeout: a client that
//! keeps a connection open with a byte now and then can do so for a few seconds
//! only.
//!
//! What has arrived is charged to the memory for bodies, before it is kept, until
//! the request has been handled.
//!
//! Part of a body that is too large is still read and discarded. A client that is
//! writing does not read, and loses the response if the connection closes.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use orwd_limiter::{ByteBudget, BytePermit};
use tokio::time::Instant;

use crate::limit::client::Client;

/// How much of an oversized body is discarded, in multiples of the size limit.
const DISCARD_FACTOR: usize = 8;

/// The most bytes of a body that says nothing but what to list or whom to end.
const SMALL_BODY: usize = 1024 * 1024;

/// How often the bytes of a body are in memory while a request is handled: as
/// they came, decoded, and as the text that is being decoded.
const COPIES: usize = 3;

/// The time before the minimum rate applies.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// How fast a body must arrive.
#[derive(Clone, Copy)]
pub(crate) struct BodyPace {
    /// The time for the whole body.
    pub(crate) timeout: Duration,
    /// The minimum rate after [`RATE_GRACE`], in bytes per second.
    pub(crate) min_rate: u64,
}

impl BodyPace {
    /// Returns the time within which more than `received` bytes must arrive.
    fn time_allowed(self, received: u64) -> Duration {
        let millis = received.saturating_mul(1000) / self.min_rate.max(1);
        (RATE_GRACE + Duration::from_millis(millis)).min(self.timeout)
    }
}

/// The size limits of bodies, by what they are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Calls and creations; `--body-limit`. For other requests it applies if it
    /// is smaller than [`SMALL_BODY`].
    pub(crate) call: usize,
    /// Group scores; `--group-body-limit`.
    pub(crate) group: usize,
}

/// What a body is for, which decides how large it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// Ids, names and ranges.
    Small,
    /// A call or a creation, with the client's own content.
    Call,
    /// A group of candidates.
    Group,
}

/// The limit that a body exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimit {
    /// The bytes.
    pub(crate) bytes: usize,
    /// The flag that sets it; none if it is fixed.
    pub(crate) flag: Option<&'static str>,
}

impl BodyLimits {
    fn of(self, kind: BodyKind) -> BodyLimit {
        let (bytes, flag) = match kind {
            BodyKind::Small if self.call > SMALL_BODY => (SMALL_BODY, None),
            BodyKind::Small | BodyKind::Call => (self.call, Some("--body-limit")),
            BodyKind::Group => (self.group, Some("--group-body-limit")),
        };
        BodyLimit { bytes, flag }
    }
}

/// The charge of a body.
pub(crate) type BodyCharge = Option<BytePermit<Client>>;

/// A body that has arrived, with its charge.
#[derive(Debug, Default)]
pub(crate) struct ReceivedBody {
    bytes: Bytes,
    memory: BodyCharge,
}

impl ReceivedBody {
    /// Splits the body from its charge.
    pub(crate) fn into_parts(self) -> (Bytes, BodyCharge) {
        (self.bytes, self.memory)
    }
}

impl Deref for ReceivedBody {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// The body of one request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    limits: BodyLimits,
    pace: BodyPace,
    /// What it is charged to, once the client is known.
    memory: Option<(Arc<ByteBudget<Client>>, Client)>,
    /// When the first byte was awaited.
    started: Option<Instant>,
    received: u64,
    expects_continue: bool,
    ended: bool,
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It exceeds the size limit.
    TooLarge(BodyLimit),
    /// Other bodies take the memory for bodies.
    NoMemory,
    /// It missed the timeout or the minimum rate.
    TooSlow,
    /// The client aborted it, or its framing is invalid.
    Incomplete,
}

impl ReceivedBody {
    /// Charges another piece behind `received` bytes, if both fit the limit.
    fn charge(&mut self, piece: usize, received: usize, limit: BodyLimit) -> Result<(), BodyError> {
        if piece > limit.bytes.saturating_sub(received) {
            return Err(BodyError::TooLarge(limit));
        }
        let Some(memory) = &mut self.memory else {
            return Ok(());
        };
        let charged = memory.grow(piece.saturating_mul(COPIES));
        charged.map_err(|_| BodyError::NoMemory)
    }
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        limits: BodyLimits,
        pace: BodyPace,
        expects_continue: bool,
    ) -> RequestBody {
        RequestBody {
            ended: incoming.is_end_stream(),
            incoming,
            limits,
            pace,
            memory: None,
            started: None,
            received: 0,
            expects_continue,
        }
    }

    /// Returns whether the whole body has been read.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Sets the memory that the body is charged to.
    pub(crate) fn charge_to(&mut self, memory: &Arc<ByteBudget<Client>>, client: Client) {
        self.memory = Some((memory.clone(), client));
    }

    /// Reads the whole body of a request without content of its own.
    pub(crate) async fn read(&mut self) -> Result<ReceivedBody, BodyError> {
        self.read_as(BodyKind::Small).await
    }

    /// Reads the whole body.
    pub(crate) async fn read_as(&mut self, kind: BodyKind) -> Result<ReceivedBody, BodyError> {
        if self.ended {
            return Ok(ReceivedBody::default());
        }
        let limit = self.limits.of(kind);
        let received = self.collect(limit).await;
        if let Err(BodyError::TooLarge(_) | BodyError::NoMemory) = received {
            self.discard_rest(limit.bytes).await;
        }
        received
    }

    /// Reads and drops the body. Errors are ignored: the response does not
    /// depend on it.
    pub(crate) async fn discard(&mut self) {
        if !self.ended {
            self.discard_rest(self.limits.of(BodyKind::Small).bytes)
                .await;
        }
    }

    async fn collect(&mut self, limit: BodyLimit) -> Result<ReceivedBody, BodyError> {
        if self.incoming.size_hint().lower() > u64::try_from(limit.bytes).unwrap_or(u64::MAX) {
            return Err(BodyError::TooLarge(limit));
        }
        let mut body = ReceivedBody::default();
        if let Some((memory, client)) = &self.memory {
            let none = memory.try_take(client, 0);
            body.memory = Some(none.map_err(|_| BodyError::NoMemory)?);
        }
        // Most bodies are one piece, which is returned without a copy.
        let Some(first) = self.next_data().await? else {
            return Ok(body);
        };
        body.charge(first.len(), 0, limit)?;
        let Some(second) = self.next_data().await? else {
            body.bytes = first;
            return Ok(body);
        };
        let announced = usize::try_from(self.incoming.size_hint().lower()).unwrap_or(0);
        // Memory is taken as it is filled, not as it is announced.
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + announced);
        whole.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(data) = next {
            body.charge(data.len(), whole.len(), limit)?;
            whole.extend_from_slice(&data);
            next = self.next_data().await?;
        }
        body.bytes = whole.freeze();
        Ok(body)
    }

    /// Reads and drops up to [`DISCARD_FACTOR`] times the limit.
    async fn discard_rest(&mut self, limit: usize) {
        if self.expects_continue {
            // The client sends nothing until it gets `100 Continue`.
            return;
        }
        let mut left = limit.saturating_mul(DISCARD_FACTOR);
        while let Ok(Some(data)) = self.next_data().await {
            match left.checked_sub(data.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    /// Reads the next piece; `None` at the end.
    async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        let started = *self.started.get_or_insert_with(Instant::now);
        loop {
            let deadline = started + self.pace.time_allowed(self.received);
            let frame = poll_fn(|cx| Pin::new(&mut self.incoming).poll_frame(cx));
            let Ok(frame) = tokio::time::timeout_at(deadline, frame).await else {
                return Err(BodyError::TooSlow);
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers are ignored.
                    if let Ok(data) = frame.into_data() {
                        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        self.received = self.received.saturating_add(length);
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "cannot read request body");
                    self.ended = false;
                    return Err(BodyError::Incomplete);
                }
                None => {
                    self.ended = true;
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_bytes_extend_the_deadline_up_to_the_timeout() {
        let pace = BodyPace {
            timeout: Duration::from_secs(30),
            min_rate: 1024,
        };
        for (received, expected) in [
            (0, 5_000),
            (512, 5_500),
            (1024, 6_000),
            (10 * 1024, 15_000),
            (25 * 1024, 30_000),
            (1 << 20, 30_000),
            (u64::MAX, 30_000),
        ] {
            assert_eq!(
                pace.time_allowed(received).as_millis(),
                expected,
                "{received}"
            );
        }
        let short = BodyPace {
            timeout: Duration::from_secs(1),
            min_rate: 0,
        };
        assert_eq!(short.time_allowed(0), Duration::from_secs(1));
    }
}
