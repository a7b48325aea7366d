//! A request body whose client must go on sending.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A body that fails if nothing of it arrives for a time.
pub(crate) struct TimedBody<B> {
    body: B,
    limit: Duration,
    /// Set while the body is waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    pub(crate) fn new(body: B, limit: Duration) -> TimedBody<B> {
        TimedBody {
            body,
            limit,
            deadline: None,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TimedBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = Instant::now() + this.limit;
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match deadline.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client has stopped sending",
            ))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::storage::channel_body::channel_body;

    #[test]
    fn a_body_fails_if_nothing_arrives_for_a_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (sender, chunks) = mpsc::channel(1);
            let limit = Duration::from_millis(200);
            let mut body = TimedBody::new(channel_body(chunks), limit);
            let start = Instant::now();
            // Each time it goes on, the time begins again.
            for _ in 0..3 {
                let sent = async {
                    tokio::time::sleep(limit / 2).await;
                    sender.send(Bytes::from_static(b"x")).await.unwrap();
                };
                let (frame, ()) = tokio::join!(body.frame(), sent);
                assert!(frame.unwrap().is_ok());
            }
            assert!(start.elapsed() > limit);
            assert!(body.frame().await.unwrap().is_err());
        });
    }
}
