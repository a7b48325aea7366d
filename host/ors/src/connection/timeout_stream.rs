//! A connection's socket with timeouts, which also hides from hyper what follows
//! a request with ambiguous framing (see `framing`).
//!
//! There are two timeouts: from the first byte of a request's head until the head
//! is complete, and from the first write that the client does not accept until it
//! accepts one. hyper enforces the time between requests, and `body` the time for
//! a body. A timeout fails the operation with `TimedOut`, which ends the
//! connection.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::activity::ConnectionActivity;
use super::framing::FramingValidator;

/// Sets the options of a new connection: events are sent when they are written,
/// and a connection whose peer acknowledges nothing breaks after `write_timeout`.
pub(crate) fn configure(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(write_timeout))?;
    // Other systems rely on the timeout of a write or between two requests.
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    Ok(())
}

/// A socket with timeouts.
pub(crate) struct TimeoutStream {
    stream: TcpStream,
    activity: Arc<ConnectionActivity>,
    header_timeout: Timeout,
    /// The request for whose head `header_timeout` runs.
    header_of: Option<u64>,
    write_timeout: Timeout,
    framing: FramingValidator,
}

impl TimeoutStream {
    /// Wraps a new connection. The timeout for the first head starts now.
    pub(crate) fn new(
        stream: TcpStream,
        activity: Arc<ConnectionActivity>,
        header_timeout: Duration,
        write_timeout: Duration,
    ) -> TimeoutStream {
        let mut header_timeout = Timeout::new(header_timeout);
        header_timeout.start();
        TimeoutStream {
            stream,
            activity,
            header_timeout,
            header_of: Some(0),
            write_timeout: Timeout::new(write_timeout),
            framing: FramingValidator::default(),
        }
    }

    /// Runs the write timeout while the client accepts nothing.
    fn with_write_timeout(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.write_timeout.stop();
            return polled;
        }
        self.write_timeout.start();
        self.write_timeout
            .poll_expired(cx)
            .map(|()| Err(timed_out("the client does not read the response")))
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let idle = this.activity.idle();
        if this.header_of != idle {
            this.header_timeout.stop();
            this.header_of = None;
        }
        let before = buffer.filled().len();
        // After an ambiguous head there is nothing to read, and no end either:
        // hyper would take an end for a client that left, and not respond.
        let polled = if this.framing.is_closed() {
            Poll::Pending
        } else {
            Pin::new(&mut this.stream).poll_read(cx, buffer)
        };
        match polled {
            Poll::Ready(result) => {
                let read = buffer.filled().get(before..).unwrap_or_default();
                let inspected = this.framing.inspect(read);
                if let Some((number, error)) = inspected.error {
                    this.activity.set_framing_error(number, error);
                }
                buffer.set_filled(before + inspected.passed);
                if buffer.filled().len() > before && this.header_of.is_none() && idle.is_some() {
                    this.header_timeout.start();
                    this.header_of = idle;
                }
                Poll::Ready(result)
            }
            Poll::Pending if this.header_of.is_some() => this
                .header_timeout
                .poll_expired(cx)
                .map(|()| Err(timed_out("the client does not finish the request head"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.with_write_timeout(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.with_write_timeout(cx, polled)
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

fn timed_out(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

/// A timeout that allocates a timer only when it is first polled.
struct Timeout {
    duration: Duration,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Timeout {
    fn new(duration: Duration) -> Timeout {
        Timeout {
            duration,
            deadline: None,
            timer: None,
        }
    }

    /// Starts the timeout unless it runs.
    fn start(&mut self) {
        let duration = self.duration;
        self.deadline
            .get_or_insert_with(|| Instant::now() + duration);
    }

    fn stop(&mut self) {
        self.deadline = None;
    }

    /// Ready after the deadline; pending while stopped.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}
