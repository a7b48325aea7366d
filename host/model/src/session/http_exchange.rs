//! HTTP requests of a guest, and their results.
//!
//! Their serde form is that of journal records.

use std::fmt;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::session::secret::Secrets;

/// A request of a guest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// The whole response to a request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct HttpError {
    /// The kind of error.
    pub code: HttpErrorCode,
    /// What is wrong.
    pub message: String,
}

/// A kind of error of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpErrorCode {
    /// The manifest or the operator does not grant it.
    NotGranted,
    /// The request is not valid, or its destination is refused.
    Refused,
    /// A limit of size or number is exceeded.
    Limit,
    /// The server was too slow.
    Timeout,
    /// The server cannot be reached, or its response is not valid HTTP.
    Failed,
    /// It may have been sent before the host stopped.
    InDoubt,
    /// The host cannot send requests.
    Unavailable,
}

/// A request with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpExchange {
    /// The request.
    pub request: HttpRequest,
    /// Its result.
    pub result: HttpResult,
}

/// What becomes of a request.
pub type HttpResult = Result<HttpResponse, HttpError>;

/// Sends the requests of an environment's guests.
pub trait HttpPort: fmt::Debug + Send + Sync {
    /// Sends a request on behalf of an owner, and waits for the whole response.
    /// If the secrets are hidden, it puts their values in place of placeholders in
    /// headers, and the response has none of them.
    fn send<'p>(
        &'p self,
        owner: &'p str,
        request: HttpRequest,
        secrets: &'p Secrets,
    ) -> Pin<Box<dyn Future<Output = HttpResult> + Send + 'p>>;
}

impl HttpError {
    /// Creates an error.
    pub fn new(code: HttpErrorCode, message: impl Into<String>) -> HttpError {
        HttpError {
            code,
            message: message.into(),
        }
    }
}

impl HttpRequest {
    /// Returns whether sending it twice has the effect of sending it once.
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method.as_str(),
            "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"
        )
    }

    /// Returns whether it has a header of this name.
    pub fn has_header(&self, name: &str) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Returns about how many bytes it holds.
    pub fn size(&self) -> usize {
        self.method.len() + self.url.len() + headers_size(&self.headers) + self.body.len()
    }
}

impl HttpResponse {
    /// Returns about how many bytes it holds.
    pub fn size(&self) -> usize {
        headers_size(&self.headers) + self.body.len()
    }
}

impl HttpExchange {
    /// Returns about how many bytes it holds.
    pub fn size(&self) -> usize {
        let result = match &self.result {
            Ok(response) => response.size(),
            Err(error) => error.message.len(),
        };
        self.request.size() + result
    }
}

fn headers_size(headers: &[(String, String)]) -> usize {
    // A few bytes for each, so that empty ones count too.
    headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum()
}

// Neither shows content, which may hold secrets.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size();
        write!(
            f,
            "HttpRequest({}, {size} bytes)",
            self.method.escape_debug()
        )
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} bytes)", self.status, self.size())
    }
}
