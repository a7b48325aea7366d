//! HTTP requests of a guest.
//!
//! Each request and its result are recorded before the guest sees the result, so
//! that a replay is served from the record and asks nobody. What is not recorded
//! cannot be replayed, so a replay that makes another request than the recorded
//! one ends there.

mod interface;
mod mode;
mod started;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use interface::HasHttp;
pub use mode::{ExchangeToRecord, HttpFault, HttpMode, LiveHttp, NetworkAccess};
pub(crate) use state::HttpState;
