//! The HTTP server of the Open Reward Standard: requests in, responses and event
//! streams out.
//!
//! It is written against the traits of `orwd_session` and knows neither the
//! session table nor the engine. The path of a request:
//!
//! 1. `server` accepts the connection, within the limits of `limit`.
//! 2. `connection` enforces timeouts and finds where each request ends.
//! 3. `auth` checks framing, host, origin and API key.
//! 4. `routes` picks the route, reads the request with `headers` and `decode`,
//!    calls the session, and writes the response with `encode`.
//! 5. `error` turns a failure into a status; no other module does.
//!
//! The wire contract is `docs/src/reference/wire-contract.md`.

mod auth;
mod connection;
mod decode;
mod encode;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod json_text;
mod limit;
mod routes;
mod server;
mod tls;

#[cfg(test)]
mod tests;

pub use auth::api_keys::{ApiKeys, ApiKeysError};
pub use auth::host_check::AllowedHosts;
pub use auth::key_file::KeyInfo;
pub use auth::key_time::KeyTime;
pub use auth::proxy_key::ProxyKey;
pub use limit::connection_limit::PerAddressLimit;
pub use server::config::ServerConfig;
pub use server::listener::serve;
pub use server::metrics::HttpMetrics;
pub use server::operations::{Operations, serve_operations};
pub use tls::certificate::TlsFileError;
pub use tls::files::TlsFiles;
