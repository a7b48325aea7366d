//! The little of HTTP that playing an episode takes: one request on one
//! connection, its answer as a whole or as an event stream.
//!
//! A server on this machine is the usual case, so a connection costs next to
//! nothing, and a lost one harms no request but its own.

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

use super::sse::{Event, Reader, SseError};

/// The most that an answer which is no stream may hold.
const ANSWER_LIMIT: usize = 256 << 20;

/// How long a server may keep quiet. Servers hold requests back for 25 s and
/// send a comment every 10 s into a stream.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Host and port, as in the URL.
    authority: String,
    /// The same with the port that is meant when there is none, and without
    /// the brackets of the URL.
    host: String,
    port: u16,
    /// What the URL has after them, without slashes at its ends.
    pub(super) path: String,
    /// What the server knows us by.
    key: Option<HeaderValue>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// It is no URL, or none of a server that we can talk to.
    #[error(
        "{0:?} is no URL of a server: expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT"
    )]
    Url(String),
    /// TLS is not spoken here.
    #[error("{0:?}: only http:// is spoken here, not https://")]
    Tls(String),
    /// Nobody answers there.
    #[error("no server answers at {0}: {1}")]
    Connect(String, std::io::Error),
    /// The server was quiet for too long.
    #[error("the server has said nothing for {}s", PATIENCE.as_secs())]
    Quiet,
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(String),
    /// The answer is no event stream.
    #[error(transparent)]
    Sse(#[from] SseError),
}

impl Server {
    /// A server on this machine.
    pub(super) fn local(address: std::net::SocketAddr) -> Server {
        Server {
            authority: address.to_string(),
            host: address.ip().to_string(),
            port: address.port(),
            path: String::new(),
            key: None,
        }
    }

    /// The same, asked with a key.
    pub(super) fn with_key(self, key: Option<HeaderValue>) -> Server {
        Server { key, ..self }
    }

    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Server, HttpError> {
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
        Ok(Server {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri.path().trim_matches('/').to_owned(),
            key: None,
        })
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
        body: String,
    ) -> Result<Response<Incoming>, HttpError> {
        let broken = |error: hyper::Error| HttpError::Broken(error.to_string());
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(PATIENCE, connect)
            .await
            .map_err(|_| HttpError::Quiet)?
            .map_err(|error| HttpError::Connect(self.authority.clone(), error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Ends with the answer, and says nothing that the answer does not.
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
            .map_err(|error| HttpError::Broken(error.to_string()))?;
        timeout(PATIENCE, sender.send_request(request))
            .await
            .map_err(|_| HttpError::Quiet)?
            .map_err(broken)
    }
}

/// Reads a whole answer.
pub(super) async fn text(answer: Response<Incoming>) -> Result<(StatusCode, String), HttpError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_LIMIT).collect();
    let bytes = timeout(PATIENCE, body)
        .await
        .map_err(|_| HttpError::Quiet)?
        .map_err(|error| HttpError::Broken(error.to_string()))?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// An answer that comes in events.
pub(super) struct Events {
    body: Incoming,
    reader: Reader,
    ready: std::collections::VecDeque<Event>,
}

impl Events {
    /// Reads an answer as events.
    pub(super) fn new(answer: Response<Incoming>) -> Events {
        Events {
            body: answer.into_body(),
            reader: Reader::default(),
            ready: std::collections::VecDeque::new(),
        }
    }

    /// The next event; none once the stream has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, HttpError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .map_err(|_| HttpError::Quiet)?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(HttpError::Broken(error.to_string())),
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
    fn urls() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", "127.0.0.1 8080 ''"),
            ("http://127.0.0.1:8080/", "127.0.0.1 8080 ''"),
            ("http://[::1]:80/counter/", "::1 80 'counter'"),
            ("http://example.org/a", "example.org 80 'a'"),
            (
                "https://127.0.0.1:1",
                "\"https://127.0.0.1:1\": only http:// is spoken here, not https://",
            ),
            (
                "http://",
                "\"http://\" is no URL of a server: expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT",
            ),
            (
                "http://u:p@h",
                "\"http://u:p@h\" is no URL of a server: expected http://HOST:PORT or http://HOST:PORT/ENVIRONMENT",
            ),
        ] {
            let got = match Server::parse(url) {
                Ok(server) => format!("{} {} '{}'", server.host, server.port, server.path),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
