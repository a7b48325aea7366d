//! A connection's socket, which gives up on a client that stalls and keeps from
//! hyper what follows a doubtful request (see [`super::framing`]).
//!
//! Two clocks: from the first byte of a request's head until the head is
//! whole, and from the first write that the client's side does not take until
//! it takes something. The time between two requests is hyper's to watch, the
//! time for a body the body's. Fails with `TimedOut`, upon which the connection
//! ends.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::framing::{Doubt, Watch};

/// Readies a connection: events leave when they are written, and one whose
/// other side is gone without a word, or takes nothing though all is written,
/// breaks after this time.
pub(super) fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(patience))?;
    // Elsewhere a write or the time between requests runs out instead.
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
    Ok(())
}

/// What a connection is at: how many requests have begun and ended on it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The request whose end is doubtful, which is the last one.
    doubt: OnceLock<(u64, Doubt)>,
}

impl Activity {
    /// The head of a request has been read.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer to a request is out, or never will be.
    pub(super) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// What makes the request that began last doubtful.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        let (number, doubt) = self.doubt.get()?;
        (*number == self.begun.load(Ordering::Relaxed)).then_some(*doubt)
    }

    /// The number of requests begun, if none is going on.
    fn idle(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun == self.ended.load(Ordering::Relaxed)).then_some(begun)
    }
}

/// A socket with clocks.
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    head: Clock,
    /// The request whose head `head` runs for.
    head_of: Option<u64>,
    write: Clock,
    watch: Watch,
}

impl Socket {
    /// A new connection, whose first head is already awaited.
    pub(super) fn new(
        stream: TcpStream,
        activity: Arc<Activity>,
        header_timeout: Duration,
        write_timeout: Duration,
    ) -> Socket {
        let mut head = Clock::new(header_timeout);
        head.start();
        Socket {
            stream,
            activity,
            head,
            head_of: Some(0),
            write: Clock::new(write_timeout),
            watch: Watch::default(),
        }
    }

    /// Lets the write clock run while the client takes nothing.
    fn watched(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.write.stop();
            return polled;
        }
        self.write.start();
        self.write
            .expired(cx)
            .map(|()| Err(timed_out("the client takes nothing of the answer")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let idle = this.activity.idle();
        if this.head_of != idle {
            this.head.stop();
            this.head_of = None;
        }
        let before = buffer.filled().len();
        // Behind a doubtful head there is nothing to read, and no end either:
        // hyper would take that for a client that left, and not answer.
        let polled = if this.watch.is_shut() {
            Poll::Pending
        } else {
            Pin::new(&mut this.stream).poll_read(cx, buffer)
        };
        match polled {
            Poll::Ready(result) => {
                let seen = this
                    .watch
                    .see(buffer.filled().get(before..).unwrap_or_default());
                if let Some(doubt) = seen.doubt {
                    // There is one at most.
                    let _ = this.activity.doubt.set(doubt);
                }
                buffer.set_filled(before + seen.keep);
                if buffer.filled().len() > before && this.head_of.is_none() && idle.is_some() {
                    this.head.start();
                    this.head_of = idle;
                }
                Poll::Ready(result)
            }
            Poll::Pending if this.head_of.is_some() => this
                .head
                .expired(cx)
                .map(|()| Err(timed_out("the client does not finish its request's head"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watched(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watched(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// A time limit that costs a timer only once it is waited for.
struct Clock {
    limit: Duration,
    until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(limit: Duration) -> Clock {
        Clock {
            limit,
            until: None,
            timer: None,
        }
    }

    /// Starts, unless it runs.
    fn start(&mut self) {
        let limit = self.limit;
        self.until.get_or_insert_with(|| Instant::now() + limit);
    }

    fn stop(&mut self) {
        self.until = None;
    }

    /// Ready once the time is over; never while stopped.
    fn expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}
