//! HTTP requests, for environments that call a model or a web service.
//!
//! An environment reaches what `[network] allow` in its `orwd.toml` names *and* the
//! operator allows with `--allow-network`; every other request fails with
//! [`ErrorKind::NotGranted`]. A request blocks the call that makes it; [`send_all`] makes several
//! at once. Its response
//! is recorded with the session, so a resumed or replayed session gets the same
//! response, and nothing is sent again.
//!
//! Redirects of GET and HEAD requests are followed, as are those with status 303.
//! Each is a request of its own, which the rules must allow, and which is recorded.
//! Only headers that name accepted formats go to another server, so a key does not.
//!
//! Requests can be made in `setup` and later, not while the tasks are read or the
//! session is opened.
//!
//! ```no_run
//! use orwd_sdk::http::Request;
//! use orwd_sdk::prelude::*;
//!
//! fn grade(answer: &str, key: &str) -> Result<f64> {
//!     let response = Request::post("https://judge.example/v1/grade")
//!         .header("Authorization", format!("Bearer {key}"))
//!         .json(&json!({"answer": answer}))?
//!         .send()?
//!         .error_for_status()?;
//!     let verdict: Value = response.json()?;
//!     verdict["score"].as_f64().context("the judge gave no score")
//! }
//! ```

mod concurrent;
mod message;
mod redirect;
mod send;
mod wire;

pub use concurrent::send_all;
pub use message::{ErrorKind, HttpError, Request, Response};
