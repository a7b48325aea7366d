//! Writes whose bytes the kernel keeps until more follow.
//!
//! The kernel has the bytes: it sends them when the connection is closed, also
//! because the process was killed, and after 200 ms in any case. Other systems than
//! Linux send them at once.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use tokio::net::TcpStream;

/// Writes bytes that the kernel sends together with those of the next write.
#[cfg(target_os = "linux")]
pub(super) fn poll_write_held(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    use std::task::ready;

    use tokio::io::Interest;

    let socket = socket2::SockRef::from(stream);
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let written = stream.try_io(Interest::WRITABLE, || {
            socket.send_vectored_with_flags(slices, libc::MSG_MORE | libc::MSG_NOSIGNAL)
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Sends what the kernel keeps.
#[cfg(target_os = "linux")]
pub(super) fn push(stream: &TcpStream) -> io::Result<()> {
    // Linux sends it when this option is set, whether it was set before or not.
    stream.set_nodelay(true)
}

/// Writes bytes, which are sent at once.
#[cfg(not(target_os = "linux"))]
pub(super) fn poll_write_held(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    use std::task::ready;

    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_write_vectored(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Does nothing: nothing is kept.
#[cfg(not(target_os = "linux"))]
pub(super) fn push(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let server = accepted.unwrap().0;
        server.set_nodelay(true).unwrap();
        (server, client.unwrap())
    }

    async fn hold(server: &TcpStream, bytes: &[u8]) {
        let slices = [IoSlice::new(bytes)];
        let written = std::future::poll_fn(|cx| poll_write_held(server, cx, &slices)).await;
        assert_eq!(written.unwrap(), bytes.len());
    }

    /// Reads what arrives within this time.
    async fn arrives(client: &mut TcpStream, within: Duration) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        let read = tokio::time::timeout(within, client.read(&mut bytes)).await;
        bytes.truncate(read.map_or(0, Result::unwrap));
        bytes
    }

    const SOON: Duration = Duration::from_millis(30);
    const LATE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_kernel_keeps_bytes_until_the_next_ones_or_a_push() {
        let (server, mut client) = pair().await;
        hold(&server, b"id").await;
        assert_eq!(arrives(&mut client, SOON).await, b"");
        server.try_write(b" result").unwrap();
        assert_eq!(arrives(&mut client, LATE).await, b"id result");
        hold(&server, b"id").await;
        push(&server).unwrap();
        assert_eq!(arrives(&mut client, LATE).await, b"id");
    }

    #[tokio::test]
    async fn a_closed_connection_sends_what_the_kernel_keeps() {
        let (server, mut client) = pair().await;
        hold(&server, b"id").await;
        drop(server);
        assert_eq!(arrives(&mut client, LATE).await, b"id");
    }
}
