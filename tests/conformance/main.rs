//! The wire contract, checked from outside, one file a theme.
//!
//! One server serves the whole run. No test changes what another one sees:
//! sessions have ids of their own, and nothing outlives them. Where time matters, a test looks at the order of
//! events and not at durations, or leaves seconds of slack.
//!
//! Where orwd deviates from the reference server on purpose, the test asks
//! [`deviates`] first, and is left out on a reference server; `README.md`
//! lists the reasons.

mod bodies;
mod calls;
mod create;
mod discovery;
mod endings;
mod headers;
mod latch;
mod order;
mod prompts;
mod resume;
mod routing;
mod scoring;
mod setup;
mod stream;
mod text;
mod toolsets;

use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::subject::subject;
use serde_json::Value;

/// The server under test.
fn ors() -> &'static Ors {
    subject().ors()
}

/// True if orwd's behaviour may be asked for: the reference does otherwise,
/// and a test of `behaviour` is left out there.
fn deviates(behaviour: &str) -> bool {
    if subject().is_reference() {
        eprintln!("left out on the reference: {behaviour}");
    }
    !subject().is_reference()
}

/// A session on the first training task of an environment.
fn open(environment: &str) -> Session {
    ors().open(environment, Task::At("train", 0))
}

/// A session on a task of the test's own making.
fn open_on(environment: &str, spec: Value) -> Session {
    ors().open(environment, Task::Spec(spec))
}
