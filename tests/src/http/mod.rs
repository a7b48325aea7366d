//! A small HTTP/1.1 client on a plain socket.
//!
//! Protocol tests need to send malformed requests, to see headers exactly as
//! the server wrote them, and to read a body while it is still being written;
//! libraries hide all three. One [`HttpConnection`] is one socket;
//! [`HttpClient`] opens a new one for each request, so that no test depends on
//! the state that another left behind.

mod client;
mod connection;
mod message;

pub use client::HttpClient;
pub use connection::HttpConnection;
pub use message::{HttpRequest, HttpResponse, ResponseHead};
