//! The server under test, and sessions on it.

use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use orwd_tests::process::server_under_test;
use serde_json::Value;

/// Returns a client of the server under test.
pub(crate) fn ors() -> &'static OrsClient {
    server_under_test().ors()
}

/// Returns whether a test of a deliberate deviation from the reference applies.
/// On a reference server it does not, and `behavior` is printed.
pub(crate) fn deviates(behavior: &str) -> bool {
    if server_under_test().is_reference() {
        eprintln!("skipped on the reference server: {behavior}");
    }
    !server_under_test().is_reference()
}

/// Opens a session on the first training task of an environment.
pub(crate) fn open(environment: &str) -> SessionClient {
    ors().open(environment, TaskSelector::At("train", 0))
}

/// Opens a session on a task that the test specifies.
pub(crate) fn open_on(environment: &str, spec: Value) -> SessionClient {
    ors().open(environment, TaskSelector::Spec(spec))
}
