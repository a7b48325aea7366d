//! The wire contract, checked from outside, one file a theme.
//!
//! One server serves the whole run: `orwd` with the contract's fixtures, or
//! whatever `ORS_BASE_URL` points to, which must serve the same fixtures. No
//! test changes what another one sees: sessions have ids of their own, and
//! nothing outlives them. Where time matters, a test looks at the order of
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

use std::sync::OnceLock;

use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::server::Server;
use serde_json::Value;

/// What is under test.
struct Subject {
    ors: Ors,
    is_reference: bool,
    /// Kept, since dropping it would end the server.
    _server: Option<Server>,
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| match std::env::var("ORS_BASE_URL") {
        Ok(base) => {
            let ors = Ors::at(&base);
            let health = ors.get("/health");
            assert_eq!(health.status(), 200, "{base}/health: {health:?}");
            Subject {
                // What the reference implementations are run by.
                is_reference: health.header("server") == Some("uvicorn"),
                ors,
                _server: None,
            }
        }
        Err(_) => {
            let server = Server::contract();
            Subject {
                ors: server.ors(),
                is_reference: false,
                _server: Some(server),
            }
        }
    })
}

/// The server under test.
fn ors() -> &'static Ors {
    &subject().ors
}

/// True if orwd's behaviour may be asked for: the reference does otherwise,
/// and a test of `behaviour` is left out there.
fn deviates(behaviour: &str) -> bool {
    if subject().is_reference {
        eprintln!("left out on the reference: {behaviour}");
    }
    !subject().is_reference
}

/// A session on the first training task of an environment.
fn open(environment: &str) -> Session {
    ors().open(environment, Task::At("train", 0))
}

/// A session on a task of the test's own making.
fn open_on(environment: &str, spec: Value) -> Session {
    ors().open(environment, Task::Spec(spec))
}
