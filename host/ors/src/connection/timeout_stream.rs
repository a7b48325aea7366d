//! A connection's socket with timeouts, which also hides from hyper what follows
//! a request with ambiguous framing (see `framing`).
//!
//! There are two timeouts: from the first byte of a request's head until the head
//! is complete, and while the client does not accept a write. The second is a
//! credit: it is used up while a write waits, and earned back with the bytes that
//! the client accepts, so a client must read at a minimum rate. hyper enforces the
//! time between requests, and `body` the time for a body. A timeout fails the
//! operation with `TimedOut`, which ends the connection.

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
use super::transport::Transport;

/// The bytes of a response that wait in the kernel, beside those on their way. It
/// bounds the kernel's memory, and shows what a client reads while it reads it.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 * 1024;

/// How fast a client must read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadPace {
    /// The time for which a client may accept nothing.
    pub(crate) timeout: Duration,
    /// The bytes that earn a second of it back.
    pub(crate) min_rate: u64,
}

/// Sets the options of a new connection: events are sent when they are written,
/// and a connection whose peer acknowledges nothing breaks after `write_timeout`.
pub(crate) fn configure(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(write_timeout))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    }
    // Other systems rely on the timeout of a write or between two requests.
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    Ok(())
}

/// A socket with timeouts.
pub(crate) struct TimeoutStream {
    stream: Transport,
    activity: Arc<ConnectionActivity>,
    header_timeout: Timeout,
    /// The request for whose head `header_timeout` runs.
    header_of: Option<u64>,
    read_credit: ReadCredit,
    framing: FramingValidator,
}

impl TimeoutStream {
    /// Wraps a connection that was accepted at `start`. The timeout for the first
    /// head began then.
    pub(crate) fn new(
        stream: Transport,
        start: Instant,
        activity: Arc<ConnectionActivity>,
        header_timeout: Duration,
        pace: ReadPace,
    ) -> TimeoutStream {
        let mut header_timeout = Timeout::new(header_timeout);
        header_timeout.start_at(start);
        TimeoutStream {
            stream,
            activity,
            header_timeout,
            header_of: Some(0),
            read_credit: ReadCredit::new(pace),
            framing: FramingValidator::default(),
        }
    }

    /// Uses the credit up while the client accepts nothing.
    fn with_read_credit<T: Accepted>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Ok(accepted)) => {
                self.read_credit.earn(accepted.bytes(), Instant::now());
                Poll::Ready(Ok(accepted))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self
                .read_credit
                .poll_used_up(cx)
                .map(|()| Err(timed_out("the client reads the response too slowly"))),
        }
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
        let polled = if this.activity.holds_writes() {
            this.stream.poll_write_held(cx, &[IoSlice::new(bytes)])
        } else {
            Pin::new(&mut this.stream).poll_write(cx, bytes)
        };
        this.with_read_credit(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = if this.activity.holds_writes() {
            this.stream.poll_write_held(cx, slices)
        } else {
            Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
        };
        this.with_read_credit(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.take_push() {
            this.stream.push()?;
        }
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.with_read_credit(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.with_read_credit(cx, polled)
    }
}

/// What the client has accepted. A socket takes bytes when they are written; TLS
/// may still hold some, which it writes when it is flushed or shut down.
trait Accepted {
    /// Returns the bytes that earn credit.
    fn bytes(&self) -> usize;
}

impl Accepted for usize {
    fn bytes(&self) -> usize {
        *self
    }
}

impl Accepted for () {
    fn bytes(&self) -> usize {
        0
    }
}

fn timed_out(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

/// The time for which the client may still accept nothing.
struct ReadCredit {
    pace: ReadPace,
    left: Duration,
    /// Since when a write waits.
    waiting: Option<Instant>,
    timeout: Timeout,
}

impl ReadCredit {
    fn new(pace: ReadPace) -> ReadCredit {
        ReadCredit {
            pace,
            left: pace.timeout,
            waiting: None,
            timeout: Timeout::new(pace.timeout),
        }
    }

    /// Ends a wait, and adds what the accepted bytes earn.
    fn earn(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.waiting.take() {
            self.left = self
                .left
                .saturating_sub(now.saturating_duration_since(since));
            self.timeout.stop();
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let millis = bytes.saturating_mul(1000) / self.pace.min_rate.max(1);
        let earned = self.left.saturating_add(Duration::from_millis(millis));
        self.left = earned.min(self.pace.timeout);
    }

    /// Ready when a write has waited for all of the credit.
    fn poll_used_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiting.get_or_insert_with(Instant::now);
        self.timeout.duration = self.left;
        self.timeout.start();
        self.timeout.poll_expired(cx)
    }
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
        if self.deadline.is_none() {
            self.start_at(Instant::now());
        }
    }

    /// Starts the timeout as of this time.
    fn start_at(&mut self, start: Instant) {
        self.deadline = Some(start + self.duration);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_is_earned_by_reading_and_used_up_by_waiting() {
        let second = Duration::from_secs(1);
        let mut credit = ReadCredit::new(ReadPace {
            timeout: second * 30,
            min_rate: 1000,
        });
        let start = Instant::now();
        // A byte every 29 seconds.
        credit.waiting = Some(start);
        credit.earn(1, start + second * 29);
        assert_eq!(credit.left, Duration::from_millis(1001));
        credit.waiting = Some(start);
        credit.earn(1, start + second);
        assert_eq!(credit.left, Duration::from_millis(2));
        // A client at the minimum rate keeps what it has, a faster one earns.
        for _ in 0..5 {
            credit.waiting = Some(start);
            credit.earn(1000, start + second);
        }
        assert_eq!(credit.left, second);
        credit.earn(1_000_000, start);
        assert_eq!(credit.left, second * 30);
    }
}
