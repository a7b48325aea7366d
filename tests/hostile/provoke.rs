//! What most attacks have in common: a call that ends its session with a named
//! fault, told to the caller and to whoever asks later.

use std::path::Path;

use orwd_tests::command::{Ended, Orwd};
use orwd_tests::expect::detail;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::stream::Transcript;
use serde_json::{Value, json};

/// The call ended in this fault and took its session with it: a later call is
/// told so, and the session can still be deleted. Gives what the client saw.
#[track_caller]
pub fn faulted(session: &Session, call: &Transcript, code: &str) -> String {
    assert_eq!(call.names(), ["task_id", "error"], "{:?}", call.events);
    let told = call.error();
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    assert!(!told.contains('\n'), "{told}");
    over(session, code);
    told.to_owned()
}

/// The session is over, says why, and can be deleted.
#[track_caller]
pub fn over(session: &Session, code: &str) {
    let later = session.post("call", &json!({"name": "fine", "input": {}}));
    let gone = detail(&later, 410);
    assert!(gone.contains(code), "{gone}");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

/// Calls the tool `act` of a session of this guest, which must end it.
#[track_caller]
pub fn act(ors: &Ors, guest: &str, input: Value, code: &str) -> String {
    let session = ors.open(guest, Task::Spec(json!({})));
    let call = session.call("act", input);
    faulted(&session, &call, code)
}

/// Calls the tool `act`, which must answer; the session must go on. Gives the
/// answer.
#[track_caller]
pub fn answers(ors: &Ors, guest: &str, input: Value) -> String {
    let session = ors.open(guest, Task::Spec(json!({})));
    let text = session.call("act", input).text();
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    text
}

/// Calls the tool `act`, which gives something unfit: the call is told so, and
/// the session goes on. Gives what the client saw.
#[track_caller]
pub fn unfit(ors: &Ors, guest: &str, input: Value, code: &str) -> String {
    let session = ors.open(guest, Task::Spec(json!({})));
    let call = session.call("act", input);
    assert_eq!(call.names(), ["task_id", "error"], "{:?}", call.events);
    let told = call.error().to_owned();
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    told
}

/// A session that cannot be had. Gives what the client saw.
#[track_caller]
pub fn unopened(ors: &Ors, guest: &str, spec: Value, code: &str) -> String {
    let id = fresh_id();
    let created = ors.create(&id, &Task::Spec(spec).body(guest));
    let told = detail(&created, 500);
    assert!(told.contains(code), "{told}");
    assert_eq!(ors.touch(&id, "/ping").status(), 404);
    format!("500 {told}")
}

/// A session whose setup or prompt ends it.
#[track_caller]
pub fn unready(ors: &Ors, guest: &str, spec: Value, code: &str) -> String {
    let session = ors.open(guest, Task::Spec(spec));
    let answer = session.get("prompt");
    assert!(matches!(answer.status(), 410 | 500), "{answer:?}");
    let told = detail(&answer, answer.status());
    assert!(told.contains(code), "{told}");
    over(&session, code);
    format!("{} {told}", answer.status())
}

/// A component that is not let in, for this reason. Gives what the operator
/// saw.
#[track_caller]
pub fn refused(wasm: &Path, flags: &[&str], parts: &[&str]) -> String {
    let ended = inspect(wasm, flags);
    ended.refuses(parts);
    ended.stderr.trim().to_owned()
}

/// Inspects a component that no cache knows.
pub fn inspect(wasm: &Path, flags: &[&str]) -> Ended {
    let cache = Scratch::new();
    let (place, file) = (cache.at("cache"), wasm.to_str().expect("a UTF-8 path"));
    Orwd::new([&["inspect", "--cache", &place, file], flags].concat()).run()
}
