//! HTTP: routes, headers, bodies, and what can be read without a session.

mod bodies;
mod discovery;
mod headers;
mod routing;
