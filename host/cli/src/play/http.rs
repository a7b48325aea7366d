//! A small HTTP client: one request on one connection, with the response as a
//! whole or as an event stream.
//!
//! The server usually runs on this machine, so connections are cheap, and a lost
//! connection affects one request only.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sse::{Event, EventReader, SseError};

/// Largest response, other than a stream, in bytes.
const RESPONSE_LIMIT: usize = 256 << 20;

/// Time without data from the server. Servers hold requests for 25 s and send a
/// comment into a stream every 10 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(40);

/// URL of a server, and the API key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerUrl {
    /// Host and port, as in the URL.
    authority: String,
    /// Host without the brackets of an IPv6 address, and port with its default.
    host: String,
    port: u16,
    /// Path, without slashes at its ends.
    pub(super) path: String,
    /// API key.
    key: Option<HeaderValue>,
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The URL is invalid or not supported.
    #[error("invalid URL {0:?}: expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT")]
    Url(String),
    /// TLS is not supported.
    #[error("unsupported URL {0:?}: https:// is not supported, use http://")]
    Tls(String),
    /// The connection cannot be made.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    /// The server sent no data for too long.
    #[error("timeout: the server sent nothing for {}s", IDLE_TIMEOUT.as_secs())]
    Timeout,
    /// The connection was lost.
    #[error("lost the connection to the server: {0}")]
    Lost(String),
    /// The response is not an event stream.
    #[error(transparent)]
    Sse(#[from] SseError),
}

impl ServerUrl {
    /// Returns the URL of a server on this machine.
    pub(super) fn local(address: std::net::SocketAddr) -> ServerUrl {
        ServerUrl {
            authority: address.to_string(),
            host: address.ip().to_string(),
            port: address.port(),
            path: String::new(),
            key: None,
        }
    }

    /// Adds the API key.
    pub(super) fn with_key(self, key: Option<HeaderValue>) -> ServerUrl {
        ServerUrl { key, ..self }
    }

    /// Parses a URL.
    pub(super) fn parse(url: &str) -> Result<ServerUrl, HttpError> {
        let wrong = || HttpError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(HttpError::Tls(url.to_owned())),
            _ => return Err(wrong()),
        }
        if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty()
        {
            return Err(wrong());
        }
        Ok(ServerUrl {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri.path().trim_matches('/').to_owned(),
            key: None,
        })
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
        body: String,
    ) -> Result<Response<Incoming>, HttpError> {
        let lost = |error: hyper::Error| HttpError::Lost(error.to_string());
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(IDLE_TIMEOUT, connect)
            .await
            .map_err(|_| HttpError::Timeout)?
            .map_err(|error| HttpError::Connect(self.authority.clone(), error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // It ends with the response, which reports its errors.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| HttpError::Lost(error.to_string()))?;
        timeout(IDLE_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| HttpError::Timeout)?
            .map_err(lost)
    }
}

/// Reads a whole response.
pub(super) async fn text(response: Response<Incoming>) -> Result<(StatusCode, String), HttpError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_LIMIT).collect();
    let bytes = timeout(IDLE_TIMEOUT, body)
        .await
        .map_err(|_| HttpError::Timeout)?
        .map_err(|error| HttpError::Lost(error.to_string()))?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// A response as a stream of events.
pub(super) struct EventStream {
    body: Incoming,
    reader: EventReader,
    ready: std::collections::VecDeque<Event>,
}

impl EventStream {
    /// Reads a response as events.
    pub(super) fn new(response: Response<Incoming>) -> EventStream {
        EventStream {
            body: response.into_body(),
            reader: EventReader::default(),
            ready: std::collections::VecDeque::new(),
        }
    }

    /// Returns the next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, HttpError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = timeout(IDLE_TIMEOUT, self.body.frame())
                .await
                .map_err(|_| HttpError::Timeout)?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(HttpError::Lost(error.to_string())),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.ready.extend(self.reader.feed(bytes)?);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_urls() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", "127.0.0.1 8080 ''"),
            ("http://127.0.0.1:8080/", "127.0.0.1 8080 ''"),
            ("http://[::1]:80/counter/", "::1 80 'counter'"),
            ("http://example.org/a", "example.org 80 'a'"),
            (
                "https://127.0.0.1:1",
                "unsupported URL \"https://127.0.0.1:1\": https:// is not supported, use http://",
            ),
            (
                "http://",
                "invalid URL \"http://\": expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT",
            ),
            (
                "http://u:p@h",
                "invalid URL \"http://u:p@h\": expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT",
            ),
        ] {
            let got = match ServerUrl::parse(url) {
                Ok(server) => format!("{} {} '{}'", server.host, server.port, server.path),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
