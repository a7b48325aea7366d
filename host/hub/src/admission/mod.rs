//! Shares of what all requests use: connections, uploads, programs of git,
//! checks of passwords. Before a client has signed in they are by its address,
//! and then by its user or organisation.

pub(crate) mod connections;
pub(crate) mod request_log;
pub(crate) mod shares;
pub(crate) mod source;
pub(crate) mod timed_body;
