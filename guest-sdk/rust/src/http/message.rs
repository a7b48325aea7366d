//! Requests, their responses, and why there may be none.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many redirects are followed, unless [`Request::redirects`] says otherwise.
const REDIRECTS: u32 = 5;

/// A request that is being built.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) redirects: u32,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

/// A kind of error of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The manifest or the operator does not grant it.
    NotGranted,
    /// The request is not valid, or its destination is refused.
    Refused,
    /// A limit of size or number is exceeded.
    Limit,
    /// The server was too slow.
    Timeout,
    /// The server cannot be reached, or its response is not valid.
    Failed,
    /// The host stopped while the request may have been sent, so it was not sent
    /// again.
    InDoubt,
    /// The host cannot send requests.
    Unavailable,
    /// The response has a status that reports an error.
    Status,
}

impl Request {
    /// Begins a request with this method, such as `PUT`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Request {
        Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            redirects: REDIRECTS,
        }
    }

    /// Begins a GET request.
    pub fn get(url: impl Into<String>) -> Request {
        Request::new("GET", url)
    }

    /// Begins a POST request.
    pub fn post(url: impl Into<String>) -> Request {
        Request::new("POST", url)
    }

    /// Adds a header. The host sets `Host` and `Content-Length`, and refuses
    /// headers that concern the connection.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, and the header `Content-Type`.
    ///
    /// # Errors
    ///
    /// The value cannot be JSON.
    pub fn json(self, value: &impl Serialize) -> crate::Result<Request> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// Sets how many redirects are followed. With 0, a redirect is the response. The
    /// default is 5.
    pub fn redirects(mut self, most: u32) -> Request {
        self.redirects = most;
        self
    }
}

impl Response {
    /// Returns whether the status reports success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// The body is not JSON of this type.
    pub fn json<T: DeserializeOwned>(&self) -> crate::Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            crate::Error::msg(format!("the response is not the expected JSON: {error}"))
        })
    }

    /// Returns the response if its status reports success.
    ///
    /// # Errors
    ///
    /// The status is another one. A failed judge is an error, never a reward of 0.
    pub fn error_for_status(self) -> Result<Response, HttpError> {
        if self.is_success() {
            return Ok(self);
        }
        let shown: String = self.text().chars().take(200).collect();
        Err(HttpError {
            kind: ErrorKind::Status,
            message: format!("the server answered with status {}: {shown}", self.status),
        })
    }
}

impl HttpError {
    /// Returns the kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}
