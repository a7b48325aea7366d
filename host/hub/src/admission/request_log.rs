//! The log line of a request.

use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::source::RequestSource;

/// The header with the id of a request. The host process that serves a session
/// gets it, too.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of an id that a client gives.
const MAX_ID: usize = 64;

/// Characters of a path that are logged.
const MAX_PATH: usize = 256;

/// A request that has arrived.
pub(crate) struct RequestLog {
    id: HeaderValue,
    method: Method,
    path: String,
    source: RequestSource,
    start: Instant,
}

impl RequestLog {
    /// Begins the line of a request, which carries its id from now on.
    pub(crate) fn begin(
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        source: RequestSource,
    ) -> RequestLog {
        let id = request_id(headers);
        headers.insert(REQUEST_ID, id.clone());
        // The address of an upload, and that of the first sign-in, is a capability.
        let path = match uri.path() {
            path if path.starts_with("/v1/uploads/") => "/v1/uploads/…".to_owned(),
            path if path.starts_with("/setup/") => "/setup/…".to_owned(),
            path => path.chars().take(MAX_PATH).collect(),
        };
        RequestLog {
            id,
            method: method.clone(),
            path,
            source,
            start: Instant::now(),
        }
    }

    /// Writes the line, and returns the id for the response.
    pub(crate) fn end(self, status: u16) -> HeaderValue {
        tracing::info!(
            request = self.id.to_str().unwrap_or_default(),
            address = %self.source.address(),
            method = %self.method,
            path = %self.path.escape_debug(),
            status,
            ms = self.start.elapsed().as_micros() as f64 / 1000.0,
            key = self.source.caller(),
            "request served"
        );
        self.id
    }
}

/// Returns the client's id of a request if it is short and plain, else a random
/// one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |value: &&HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        (1..=MAX_ID).contains(&value.len()) && value.as_bytes().iter().all(plain)
    };
    let given = headers.get(REQUEST_ID).filter(is_plain).cloned();
    let random = || HeaderValue::try_from(format!("{:016x}", rand::random::<u64>())).ok();
    given
        .or_else(random)
        .unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_id_of_the_client_is_kept() {
        let id_of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            request_id(&headers)
        };
        assert_eq!(id_of("my-id.1"), "my-id.1");
        for text in ["", "a b", "\"x\"", "a=b"] {
            assert_eq!(id_of(text).len(), 16, "{text}");
        }
        assert_ne!(id_of(""), id_of(""));
    }
}
