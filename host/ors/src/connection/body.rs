//! Reads request bodies, within a size, a time and a minimum rate.
//!
//! The minimum rate ends a body that trickles before its timeout: a client that
//! keeps a connection open with a byte now and then can do so for a few seconds
//! only.
//!
//! Part of a body that is too large is still read and discarded. A client that is
//! writing does not read, and loses the response if the connection closes.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

/// How much of an oversized body is discarded, in multiples of the size limit.
const DISCARD_FACTOR: usize = 8;

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

/// The body of one request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    limit: usize,
    pace: BodyPace,
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
    TooLarge,
    /// It missed the timeout or the minimum rate.
    TooSlow,
    /// The client aborted it, or its framing is invalid.
    Incomplete,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        limit: usize,
        pace: BodyPace,
        expects_continue: bool,
    ) -> RequestBody {
        RequestBody {
            ended: incoming.is_end_stream(),
            incoming,
            limit,
            pace,
            started: None,
            received: 0,
            expects_continue,
        }
    }

    /// Returns whether the whole body has been read.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads the whole body.
    pub(crate) async fn read(&mut self) -> Result<Bytes, BodyError> {
        if self.ended {
            return Ok(Bytes::new());
        }
        self.collect().await
    }

    /// Reads and drops the body. Errors are ignored: the response does not
    /// depend on it.
    pub(crate) async fn discard(&mut self) {
        if !self.ended {
            self.discard_rest().await;
        }
    }

    async fn collect(&mut self) -> Result<Bytes, BodyError> {
        if self.incoming.size_hint().lower() > u64::try_from(self.limit).unwrap_or(u64::MAX) {
            self.discard_rest().await;
            return Err(BodyError::TooLarge);
        }
        // Most bodies are one piece, which is returned without a copy.
        let Some(first) = self.next_data().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > self.limit {
            self.discard_rest().await;
            return Err(BodyError::TooLarge);
        }
        let Some(second) = self.next_data().await? else {
            return Ok(first);
        };
        let announced = usize::try_from(self.incoming.size_hint().lower()).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + announced);
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(data) = next {
            if data.len() > self.limit - whole.len() {
                self.discard_rest().await;
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&data);
            next = self.next_data().await?;
        }
        Ok(whole.freeze())
    }

    /// Reads and drops up to [`DISCARD_FACTOR`] times the limit.
    async fn discard_rest(&mut self) {
        if self.expects_continue {
            // The client sends nothing until it gets `100 Continue`.
            return;
        }
        let mut left = self.limit.saturating_mul(DISCARD_FACTOR);
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
