//! The protocol: requests in, answers and event streams out.
//!
//! Written against the traits of [`crate::session`], so that it knows neither
//! tables nor guests. The life of a request: `server` accepts the connection,
//! `route` decides where it goes, `handlers` take it there: they read the body
//! (`body`, `document`, `requests`), ask the session, and write the answer
//! (`render`, `stream`). A failure becomes a status in `error` and nowhere else.

mod answer;
mod body;
mod candidates;
mod document;
mod error;
mod fields;
mod flatten;
mod handlers;
mod problems;
mod python;
mod render;
mod requests;
mod route;
mod secrets;
mod server;
mod socket;
mod sse;
mod stream;
mod text;
mod trace;

#[cfg(test)]
mod tests;

pub use server::{Front, serve};
