//! Assertions that most attacks share: a call that ends its session with a
//! named fault, which the caller and every later request see.

use std::path::Path;

use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, StreamTranscript, TaskSelector, fresh_id};
use orwd_tests::process::{CommandResult, OrwdCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

/// Asserts that the call ended in this fault and ended its session: a later
/// call gets the same fault, and the session can still be deleted. Returns what
/// the client saw.
#[track_caller]
pub(crate) fn call_faulted(session: &SessionClient, call: &StreamTranscript, code: &str) -> String {
    assert_eq!(call.names(), ["task_id", "error"], "{:?}", call.events);
    let error = call.error();
    assert!(error.starts_with(&format!("{code}: ")), "{error}");
    assert!(!error.contains('\n'), "{error}");
    session_ended(session, code);
    error.to_owned()
}

/// Asserts that the session has ended with this fault and can be deleted.
#[track_caller]
fn session_ended(session: &SessionClient, code: &str) {
    let later = session.post("call", &json!({"name": "fine", "input": {}}));
    let gone = error_detail(&later, 410);
    assert!(gone.contains(code), "{gone}");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

/// Calls the tool `act` of a session of this guest, which must end the session.
#[track_caller]
pub(crate) fn act_faults(ors: &OrsClient, guest: &str, input: Value, code: &str) -> String {
    let session = ors.open(guest, TaskSelector::Spec(json!({})));
    let call = session.call("act", input);
    call_faulted(&session, &call, code)
}

/// Calls the tool `act`, which must succeed without ending the session. Returns
/// the result.
#[track_caller]
pub(crate) fn act_answers(ors: &OrsClient, guest: &str, input: Value) -> String {
    let session = ors.open(guest, TaskSelector::Spec(json!({})));
    let text = session.call("act", input).text();
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    text
}

/// Calls the tool `act`, whose result is invalid: the call fails with this code
/// and the session continues. Returns what the client saw.
#[track_caller]
pub(crate) fn act_is_invalid(ors: &OrsClient, guest: &str, input: Value, code: &str) -> String {
    let session = ors.open(guest, TaskSelector::Spec(json!({})));
    let call = session.call("act", input);
    assert_eq!(call.names(), ["task_id", "error"], "{:?}", call.events);
    let error = call.error().to_owned();
    assert!(error.starts_with(&format!("{code}: ")), "{error}");
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    error
}

/// Asserts that a session cannot be created. Returns what the client saw.
#[track_caller]
pub(crate) fn create_fails(ors: &OrsClient, guest: &str, spec: Value, code: &str) -> String {
    let id = fresh_id();
    let created = ors.create(&id, &TaskSelector::Spec(spec).body(guest));
    let error = error_detail(&created, 500);
    assert!(error.contains(code), "{error}");
    assert_eq!(ors.post_empty(&id, "/ping").status(), 404);
    format!("500 {error}")
}

/// Asserts that setup or prompt end the session.
#[track_caller]
pub(crate) fn setup_fails(ors: &OrsClient, guest: &str, spec: Value, code: &str) -> String {
    let session = ors.open(guest, TaskSelector::Spec(spec));
    let response = session.get("prompt");
    assert!(matches!(response.status(), 410 | 500), "{response:?}");
    let error = error_detail(&response, response.status());
    assert!(error.contains(code), "{error}");
    session_ended(&session, code);
    format!("{} {error}", response.status())
}

/// Asserts that a component is refused with a message that contains each part.
/// Returns the message.
#[track_caller]
pub(crate) fn component_refused(wasm: &Path, flags: &[&str], parts: &[&str]) -> String {
    let result = inspect(wasm, flags);
    result.expect_failure(parts);
    result.stderr.trim().to_owned()
}

/// Inspects a component with an empty cache.
pub(crate) fn inspect(wasm: &Path, flags: &[&str]) -> CommandResult {
    let directory = TestDir::new();
    let (cache, file) = (directory.at("cache"), wasm.to_str().expect("a UTF-8 path"));
    OrwdCommand::new([&["inspect", "--cache", &cache, file], flags].concat()).run()
}
