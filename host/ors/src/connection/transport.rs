//! The bytes of a connection, with TLS or without.
//!
//! A TLS handshake is part of its connection: the connection counts in the limits
//! from its first byte, and handshake and first request head share one timeout.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::held_write;
use crate::tls::files::TlsFiles;

/// The first byte of every TLS connection: the content type of a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: \
                          application/json\r\ncontent-length: 63\r\n\r\n{\"detail\":\"this server \
                          speaks https; use https:// in its URL\"}\n";

/// A connection's bytes as its two sides mean them.
pub(crate) enum Transport {
    /// Those of the socket.
    Plain(TcpStream),
    /// Those within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a connection has no requests.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// It speaks HTTP without TLS, and was told so.
    #[error("plain HTTP where TLS is required")]
    PlainHttp(TcpStream),
    /// The handshake failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Transport {
    /// Makes the TLS handshake of a new connection, if the server has a
    /// certificate.
    pub(crate) async fn accept(
        mut stream: TcpStream,
        tls: Option<&TlsFiles>,
    ) -> Result<Transport, HandshakeError> {
        let Some(tls) = tls else {
            return Ok(Transport::Plain(stream));
        };
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(HandshakeError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        if first != [TLS_HANDSHAKE] {
            stream.write_all(PLAIN_HTTP.as_bytes()).await?;
            return Err(HandshakeError::PlainHttp(stream));
        }
        // Boxed, since connections without TLS need no space for it.
        let stream = Box::pin(tls.acceptor().accept(stream)).await?;
        Ok(Transport::Tls(Box::new(stream)))
    }

    /// Writes bytes that the kernel sends together with those of the next write.
    /// Within TLS they are sent at once: its records are made in this process, and
    /// may wait here for the kernel.
    pub(super) fn poll_write_held(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => held_write::poll_write_held(stream, cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Sends what the kernel keeps.
    pub(super) fn push(&self) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => held_write::push(stream),
            Transport::Tls(_) => Ok(()),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_plain_http_has_the_length_that_it_says() {
        let (head, body) = PLAIN_HTTP.split_once("\r\n\r\n").unwrap();
        let length = head.split_once("content-length: ").unwrap().1;
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
    }
}
