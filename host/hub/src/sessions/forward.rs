//! Sending a request to a host process.

use std::io;
use std::net::Ipv4Addr;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why a host process did not respond.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// It accepts no connection.
    #[error("cannot connect to the host process: {0}")]
    Connect(#[from] io::Error),
    /// It closed the connection.
    #[error("the host process closed the connection: {0}")]
    Closed(#[from] hyper::Error),
}

impl ForwardError {
    /// Returns whether nothing listens at the port.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, ForwardError::Connect(error)
            if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Sends a request on a connection of its own, and returns the response when its
/// head has arrived.
pub(crate) async fn send(
    port: u16,
    request: Request<Body>,
) -> Result<Response<Incoming>, ForwardError> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the response, or when that is dropped.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
