//! The wire contract, checked from outside, one file per theme.
//!
//! One server serves the whole run. No test changes what another one sees:
//! every session has an id of its own, and no test leaves state behind. Where
//! time matters, a test checks the order of events instead of durations, or
//! allows seconds of slack.
//!
//! Where orwd deviates from the reference server on purpose, the test calls
//! [`support::deviates`] first, and is skipped on a reference server;
//! `README.md` lists the reasons.

mod http;
mod runs;
mod session;
mod support;
