//! A server's address, with a new connection for each request.

use std::io;

use super::connection::HttpConnection;
use super::message::{HttpRequest, HttpResponse};

/// Sends each request over a new connection to one server.
#[derive(Clone, Debug)]
pub struct HttpClient {
    host: String,
    /// Header lines that every request carries.
    extra_headers: String,
}

impl HttpClient {
    /// Creates a client for a base URL such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let host = base
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("{base} does not start with http://"))
            .trim_end_matches('/');
        Self {
            host: host.to_owned(),
            extra_headers: String::new(),
        }
    }

    /// Adds a header to every request.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.extra_headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Returns `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Opens a connection.
    pub fn connect(&self) -> HttpConnection {
        self.try_connect()
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.host))
    }

    /// Opens a connection to a server that may refuse it.
    pub fn try_connect(&self) -> io::Result<HttpConnection> {
        Ok(HttpConnection::open(&self.host)?.with_headers(&self.extra_headers))
    }

    /// Sends a request and reads the whole response, without following
    /// redirects.
    pub fn fetch(&self, request: &HttpRequest) -> HttpResponse {
        self.try_fetch(request)
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
    }

    /// Sends a request to a server that may not respond.
    pub fn try_fetch(&self, request: &HttpRequest) -> io::Result<HttpResponse> {
        self.try_connect()?.fetch(request)
    }

    /// Follows one redirect the way the known clients do: with the same method,
    /// headers and body.
    pub fn fetch_following_redirect(&self, request: &HttpRequest) -> HttpResponse {
        let response = self.fetch(request);
        let Some(location) = response.header("location") else {
            return response;
        };
        assert_eq!(response.status(), 308, "{response:?}");
        let mut redirected = request.clone();
        redirected.target = location.to_owned();
        self.fetch(&redirected)
    }

    /// Sends bytes unchanged and returns everything until the server closes.
    pub fn send_raw_and_read(&self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = self.connect();
        connection.send_raw(bytes).expect("the server takes bytes");
        connection
            .read_to_end()
            .expect("the server responds and closes")
    }
}
