//! A small HTTP/1.1 client on a plain socket.
//!
//! Tests of a protocol need to send what a polite client would never send,
//! to see headers as they were written, and to read a body while it is still
//! being made; libraries hide all three. One [`Connection`] is one socket;
//! [`Client`] opens a new one for each request, so that no test depends on
//! what another left behind.

mod connection;
mod message;

use std::io;

pub use connection::Connection;
pub use message::{Head, Request, Response};

/// A server's address, with a new connection for each request.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
    /// Sent with every request, in the form of the wire.
    also: String,
}

impl Client {
    /// For a base address such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let host = base
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("{base} does not start with http://"))
            .trim_end_matches('/');
        Self {
            host: host.to_owned(),
            also: String::new(),
        }
    }

    /// The same with one more header on every request.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.also.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        self.try_connect()
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.host))
    }

    /// As [`Client::connect`], for a server that may not take it.
    pub fn try_connect(&self) -> io::Result<Connection> {
        Ok(Connection::open(&self.host)?.with_headers(&self.also))
    }

    /// Sends a request and reads the whole answer, without following
    /// redirects.
    pub fn ask(&self, request: &Request) -> Response {
        self.try_ask(request)
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
    }

    /// As [`Client::ask`], for a server that may not answer.
    pub fn try_ask(&self, request: &Request) -> io::Result<Response> {
        self.try_connect()?.ask(request)
    }

    /// Follows one redirect the way the known clients do: same method, same
    /// headers, same body.
    pub fn ask_following(&self, request: &Request) -> Response {
        let answer = self.ask(request);
        let Some(location) = answer.header("location") else {
            return answer;
        };
        assert_eq!(answer.status(), 308, "{answer:?}");
        let mut again = request.clone();
        again.target = location.to_owned();
        self.ask(&again)
    }

    /// Sends bytes as they are and gives whatever comes until the server
    /// closes.
    pub fn ask_raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = self.connect();
        connection.send_raw(bytes).expect("the server takes bytes");
        connection
            .read_to_end()
            .expect("the server answers and closes")
    }
}
