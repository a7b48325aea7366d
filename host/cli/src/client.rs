//! An HTTP client for the commands that talk to a server: `play` and `sessions`.

pub(crate) mod api_key;
pub(crate) mod http;
mod sse;
mod tls;
