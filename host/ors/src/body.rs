//! Reads request bodies, within a size and a time.
//!
//! A body that drips is given up before its time is over: a client that means
//! to send sends, and one that holds a connection open with a byte now and
//! then does it for some seconds only.
//!
//! A body that is too large is read on for a while and thrown away: a client
//! that is still writing sees no answer, and loses it if the connection is
//! closed under its hands.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

/// So many times its limit is read of a body that is too large.
const READ_ON: usize = 8;

/// The time that a body has before its rate counts.
const GRACE: Duration = Duration::from_secs(5);

/// How fast a body must come.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// The time for all of it.
    pub(super) timeout: Duration,
    /// Bytes each second, after the grace.
    pub(super) rate: u64,
}

impl Pace {
    /// The time within which there must be more than so many bytes.
    fn allows(self, received: u64) -> Duration {
        let millis = received.saturating_mul(1000) / self.rate.max(1);
        (GRACE + Duration::from_millis(millis)).min(self.timeout)
    }
}

/// The body of one request.
pub(super) struct RequestBody {
    incoming: Incoming,
    limit: usize,
    pace: Pace,
    /// When it was first waited for.
    begun: Option<Instant>,
    received: u64,
    expects_continue: bool,
    ended: bool,
}

/// Why a body cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than it may be.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The client broke it off, or its framing is wrong.
    Broken,
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        limit: usize,
        pace: Pace,
        expects_continue: bool,
    ) -> RequestBody {
        RequestBody {
            ended: incoming.is_end_stream(),
            incoming,
            limit,
            pace,
            begun: None,
            received: 0,
            expects_continue,
        }
    }

    /// Whether nothing of the body is left to read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// The whole body.
    pub(super) async fn read(&mut self) -> Result<Bytes, BodyError> {
        if self.ended {
            return Ok(Bytes::new());
        }
        self.collect().await
    }

    /// Reads the body and forgets it. How that ends does not matter: the
    /// answer is known without it.
    pub(super) async fn discard(&mut self) {
        if !self.ended {
            self.read_on().await;
        }
    }

    async fn collect(&mut self) -> Result<Bytes, BodyError> {
        if self.incoming.size_hint().lower() > u64::try_from(self.limit).unwrap_or(u64::MAX) {
            self.read_on().await;
            return Err(BodyError::TooLarge);
        }
        // Most bodies are one piece, which then is the body.
        let Some(first) = self.data().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > self.limit {
            self.read_on().await;
            return Err(BodyError::TooLarge);
        }
        let Some(second) = self.data().await? else {
            return Ok(first);
        };
        let announced = usize::try_from(self.incoming.size_hint().lower()).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + announced);
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(data) = next {
            if data.len() > self.limit - whole.len() {
                self.read_on().await;
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&data);
            next = self.data().await?;
        }
        Ok(whole.freeze())
    }

    /// Reads on without keeping anything, up to a multiple of the limit.
    async fn read_on(&mut self) {
        if self.expects_continue {
            // The client waits to be told to send, and is told not to.
            return;
        }
        let mut left = self.limit.saturating_mul(READ_ON);
        while let Ok(Some(data)) = self.data().await {
            match left.checked_sub(data.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    /// The next piece; none at the end.
    async fn data(&mut self) -> Result<Option<Bytes>, BodyError> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        loop {
            let until = begun + self.pace.allows(self.received);
            let frame = poll_fn(|cx| Pin::new(&mut self.incoming).poll_frame(cx));
            let Ok(frame) = tokio::time::timeout_at(until, frame).await else {
                return Err(BodyError::TooSlow);
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers are of no interest.
                    if let Ok(data) = frame.into_data() {
                        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        self.received = self.received.saturating_add(length);
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a request's body broke off");
                    self.ended = false;
                    return Err(BodyError::Broken);
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
    fn what_came_buys_time_and_never_more_than_there_is() {
        let pace = Pace {
            timeout: Duration::from_secs(30),
            rate: 1024,
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
            assert_eq!(pace.allows(received).as_millis(), expected, "{received}");
        }
        let short = Pace {
            timeout: Duration::from_secs(1),
            rate: 0,
        };
        assert_eq!(short.allows(0), Duration::from_secs(1));
    }
}
