//! The protocol: requests in, answers and event streams out.
//!
//! Written against the traits of [`orwd_session`], so that it knows neither
//! tables nor guests. The life of a request: `server` accepts the connection,
//! `framing` watches where requests end, `admission` asks who it is and whether
//! it may come in, `route` decides where it goes, `handlers` take it there: they read the body
//! (`body`, `document`, `requests`), ask the session, and write the answer
//! (`render`, `stream`). A failure becomes a status in `error` and nowhere else.

mod admission;
mod again;
mod answer;
mod beyond;
mod body;
mod candidates;
mod crowd;
mod document;
mod error;
mod fields;
mod flatten;
mod framing;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod hosts;
mod keyring;
mod keys;
mod problems;
mod python;
mod rates;
mod render;
mod requests;
mod route;
mod secrets;
mod seed;
mod server;
mod socket;
mod sse;
mod stream;
mod text;
mod trace;

#[cfg(test)]
mod tests;

pub use crowd::PerAddress;
pub use hosts::Hosts;
pub use keys::{Keys, KeysError};
pub use server::{Front, serve};
