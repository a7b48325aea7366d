//! Requests and responses exactly as they are on the wire.

use std::fmt;

use serde_json::Value;

/// A request as it will be sent. `Host` and `Content-Length` are added unless
/// the test sets them.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl HttpRequest {
    /// Creates a request without a body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Creates a GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Creates a POST without a body.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header; repeated names are sent repeatedly.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a body without a content type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a body with the content type of JSON, valid or not.
    pub fn json_text(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Adds a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(have, _)| have.eq_ignore_ascii_case(name))
    }

    pub(super) fn to_bytes(&self, host: &str, extra_headers: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("host") {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        let wants_length = !self.body.is_empty() || self.method != "GET";
        if wants_length && !self.has("content-length") && !self.has("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(extra_headers);
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Status and headers of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// Names and values as the server wrote them, in order.
    pub headers: Vec<(String, String)>,
}

impl ResponseHead {
    /// Returns the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A whole response.
#[derive(Clone)]
pub struct HttpResponse {
    /// Status and headers.
    pub head: ResponseHead,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Returns the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is JSON ({error}): {self:?}"))
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let short: String = body.chars().take(2000).collect();
        write!(out, "{} {short}", self.head.status)
    }
}
