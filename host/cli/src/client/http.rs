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
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sse::{Event, EventReader, SseError};
use super::tls::{self, TlsError};

/// Largest response, other than a stream, in bytes.
const RESPONSE_LIMIT: usize = 256 << 20;

/// Time without data from the server. Servers hold requests for 25 s and send a
/// comment into a stream every 10 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(40);

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// URL of a server, and the API key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// Host and port, as in the URL.
    authority: String,
    /// Host without the brackets of an IPv6 address, and port with its default.
    host: String,
    port: u16,
    /// Whether connections use TLS.
    tls: bool,
    /// Path, without slashes at its ends.
    pub(crate) path: String,
    /// API key.
    key: Option<HeaderValue>,
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The URL is invalid or not supported.
    #[error(
        "invalid URL {0:?}: expected http://HOST:PORT or https://HOST:PORT, and optionally \
         /ENVIRONMENT"
    )]
    Url(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    pub(crate) fn local(address: std::net::SocketAddr) -> ServerUrl {
        ServerUrl {
            authority: address.to_string(),
            host: address.ip().to_string(),
            port: address.port(),
            tls: false,
            path: String::new(),
            key: None,
        }
    }

    /// Adds the API key.
    pub(crate) fn with_key(self, key: Option<HeaderValue>) -> ServerUrl {
        ServerUrl { key, ..self }
    }

    /// Parses a URL.
    pub(crate) fn parse(url: &str) -> Result<ServerUrl, HttpError> {
        let wrong = || HttpError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty()
        {
            return Err(wrong());
        }
        Ok(ServerUrl {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            path: uri.path().trim_matches('/').to_owned(),
            key: None,
        })
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, HttpError> {
        let lost = |error: hyper::Error| HttpError::Lost(error.to_string());
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(IDLE_TIMEOUT, connect)
            .await
            .map_err(|_| HttpError::Timeout)?
            .map_err(|error| HttpError::Connect(self.authority.clone(), error))?;
        let stream: Box<dyn Stream> = if self.tls {
            let secured = timeout(IDLE_TIMEOUT, tls::connect(&self.host, stream));
            Box::new(secured.await.map_err(|_| HttpError::Timeout)??)
        } else {
            Box::new(stream)
        };
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
            .body(Full::new(body.into()))
            .map_err(|error| HttpError::Lost(error.to_string()))?;
        timeout(IDLE_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| HttpError::Timeout)?
            .map_err(lost)
    }
}

/// Reads a whole response.
pub(crate) async fn text(response: Response<Incoming>) -> Result<(StatusCode, String), HttpError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_LIMIT).collect();
    let bytes = timeout(IDLE_TIMEOUT, body)
        .await
        .map_err(|_| HttpError::Timeout)?
        .map_err(|error| HttpError::Lost(error.to_string()))?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Returns the `detail` of an error response, or the begin of its body.
pub(crate) fn error_detail(text: &str) -> String {
    let detail =
        serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|body| match body.get("detail") {
                Some(Value::String(detail)) => Some(detail.clone()),
                Some(detail) => Some(detail.to_string()),
                None => None,
            });
    detail.unwrap_or_else(|| text.chars().take(500).collect())
}

/// A response as a stream of events.
pub(crate) struct EventStream {
    body: Incoming,
    reader: EventReader,
    ready: std::collections::VecDeque<Event>,
}

impl EventStream {
    /// Reads a response as events.
    pub(crate) fn new(response: Response<Incoming>) -> EventStream {
        EventStream {
            body: response.into_body(),
            reader: EventReader::default(),
            ready: std::collections::VecDeque::new(),
        }
    }

    /// Returns the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, HttpError> {
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
            ("https://127.0.0.1:1", "127.0.0.1 1 '' tls"),
            ("https://example.org/a", "example.org 443 'a' tls"),
            (
                "http://",
                "invalid URL \"http://\": expected http://HOST:PORT or https://HOST:PORT, and optionally /ENVIRONMENT",
            ),
            (
                "http://u:p@h",
                "invalid URL \"http://u:p@h\": expected http://HOST:PORT or https://HOST:PORT, and optionally /ENVIRONMENT",
            ),
        ] {
            let got = match ServerUrl::parse(url) {
                Ok(server) => {
                    let tls = if server.tls { " tls" } else { "" };
                    format!("{} {} '{}'{tls}", server.host, server.port, server.path)
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
