//! The HTTP server of the control process.

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod bootstrap;
pub(crate) mod error;
pub(crate) mod query;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod state;
