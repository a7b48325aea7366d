//! Reads request bodies, within a size and a time.
//!
//! A body that is too large is read on for a while and thrown away: a client
//! that is still writing sees no answer, and loses it if the connection is
//! closed under its hands.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};

/// So many times its limit is read of a body that is too large.
const READ_ON: usize = 8;

/// The body of one request.
pub(super) struct RequestBody {
    incoming: Incoming,
    limit: usize,
    timeout: Duration,
    expects_continue: bool,
    ended: bool,
    too_large: bool,
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
        timeout: Duration,
        expects_continue: bool,
    ) -> RequestBody {
        RequestBody {
            ended: incoming.is_end_stream(),
            incoming,
            limit,
            timeout,
            expects_continue,
            too_large: false,
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
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.collect()).await {
            Ok(read) => read,
            // Whatever of it is still to come, that is known already.
            Err(_) if self.too_large => Err(BodyError::TooLarge),
            Err(_) => Err(BodyError::TooSlow),
        }
    }

    /// Reads the body and forgets it. How that ends does not matter: the
    /// answer is known without it.
    pub(super) async fn discard(&mut self) {
        if !self.ended {
            let timeout = self.timeout;
            let _ = tokio::time::timeout(timeout, self.read_on()).await;
        }
    }

    async fn collect(&mut self) -> Result<Bytes, BodyError> {
        if self.incoming.size_hint().lower() > u64::try_from(self.limit).unwrap_or(u64::MAX) {
            return self.refuse().await;
        }
        // Most bodies are one piece, which then is the body.
        let Some(first) = self.data().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > self.limit {
            return self.refuse().await;
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
                return self.refuse().await;
            }
            whole.extend_from_slice(&data);
            next = self.data().await?;
        }
        Ok(whole.freeze())
    }

    /// Refuses a body that is too large.
    async fn refuse(&mut self) -> Result<Bytes, BodyError> {
        self.too_large = true;
        self.read_on().await;
        Err(BodyError::TooLarge)
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
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut self.incoming).poll_frame(cx)).await;
            match frame {
                Some(Ok(frame)) => {
                    // Trailers are of no interest.
                    if let Ok(data) = frame.into_data() {
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
