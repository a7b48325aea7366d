//! Sessions on servers with one limit changed, and the fault that it causes.

use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, StreamTranscript, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::{Value, json};

pub(super) fn open(ors: &OrsClient, environment: &str, spec: Value) -> SessionClient {
    ors.open(environment, TaskSelector::Spec(spec))
}

/// Starts a server with these flags and opens a session on it.
pub(super) fn alone(environment: &str, flags: &[(&str, &str)]) -> (ServerProcess, SessionClient) {
    let serve = ServeCommand::fixtures(&[environment]);
    let server = flags
        .iter()
        .fold(serve, |serve, (flag, value)| serve.set(flag, *value))
        .start();
    let session = open(&server.ors(), environment, json!({}));
    (server, session)
}

/// Asserts that the call ended in this fault and ended its session.
#[track_caller]
pub(super) fn faulted(session: &SessionClient, call: &StreamTranscript, code: &str) {
    assert_eq!(call.names(), ["task_id", "error"]);
    let message = call.error();
    assert!(message.starts_with(&format!("{code}: ")), "{message}");
    let later = session.post("call", &json!({"name": "noargs", "input": {}}));
    let gone = error_detail(&later, 410);
    assert!(gone.starts_with(&format!("{code}: ")), "{gone}");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}
