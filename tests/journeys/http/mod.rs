//! Clients that a server accepts, refuses, limits and waits for.

mod auth_and_origin;
mod rate_limits;
mod request_smuggling;
mod timeouts;
mod tls;
