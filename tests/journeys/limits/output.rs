//! The limits on what a session says: results, JSON, the log.

use std::time::{Duration, Instant};

use orwd_tests::expect::detail;
use orwd_tests::ors::{Session, Task, fresh_id};
use orwd_tests::server::Server;
use serde_json::{Value, json};

use super::{alone, faulted, open};
use crate::SOON;

fn big(session: &Session, count: usize) -> orwd_tests::stream::Transcript {
    session.call("big", json!({"unit": "x", "count": count}))
}

pub(super) fn size_of_a_result() {
    let (server, session) = alone("alpha", &[("--result-limit", "64KiB")]);
    assert_eq!(big(&session, 50_000).text().len(), 50_000);
    faulted(&session, &big(&session, 100_000), "limit_output");
    // What a tool says when it fails is a result too.
    let session = open(&server.ors(), "alpha", json!({}));
    let fail = |count| json!({"message": "x".repeat(count)});
    assert_eq!(session.call("fail", fail(50_000)).error().len(), 50_000);
    let call = session.call("fail", fail(100_000));
    faulted(&session, &call, "limit_output");
    let (_server, session) = alone("alpha", &[("--result-limit", "1MiB")]);
    assert_eq!(big(&session, 100_000).text().len(), 100_000);
}

pub(super) fn size_of_what_is_handed_over() {
    let flags = |limit| [("--result-limit", "64MiB"), ("--host-call-limit", limit)];
    let (_server, session) = alone("alpha", &flags("256KiB"));
    assert_eq!(big(&session, 200_000).text().len(), 200_000);
    let call = big(&session, 2_000_000);
    faulted(&session, &call, "limit_output");
    assert!(call.error().contains("at once"), "{}", call.error());
    let (_server, session) = alone("alpha", &flags("32MiB"));
    assert_eq!(big(&session, 2_000_000).text().len(), 2_000_000);
}

/// An object of so many levels, as text: no parser of the test's is to be in
/// the way.
fn nested(levels: usize) -> String {
    let (open, close) = ("{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
    format!("{open}{{}}{close}")
}

fn nested_value(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

pub(super) fn levels_of_json() {
    let (server, session) = alone("greedy", &[("--json-depth", "20")]);
    let ors = server.ors();
    // What a client sends counts with the object that it is in.
    let swallow = |session: &Session, levels: usize| {
        session.call("swallow", json!({"given": nested_value(levels - 1)}))
    };
    assert_eq!(swallow(&session, 20).text(), "swallowed");
    let (reason, message) = swallow(&session, 21).refusal();
    assert_eq!(reason, "input_validation");
    assert!(message.contains("21 levels, and 20"), "{message}");
    // Refused before anything of it is built, however deep it is.
    let deep = nested(100_000);
    let body = format!("{{\"name\":\"swallow\",\"input\":{{\"given\":{deep}}}}}");
    let request = session.post_request("call", &json!({})).body(body);
    assert_eq!(ors.transcript(&request).reason(), "input_validation");

    // What the guest gives: a mistake, and the session goes on.
    let nest = |session: &Session, levels: usize| session.call("nest", json!({"levels": levels}));
    let output = nest(&session, 20).output();
    assert_eq!(output["metadata"], nested_value(20));
    let call = nest(&session, 21);
    let told = call.error();
    assert!(told.starts_with("env_invalid_output: "), "{told}");
    assert_eq!(nest(&session, 2).text(), "nested");

    // A task of the client's own.
    let create = |levels| {
        let task = Task::Spec(nested_value(levels));
        ors.create(&fresh_id(), &task.body("greedy"))
    };
    assert_eq!(create(20).status(), 200);
    let told = detail(&create(21), 400);
    assert!(told.contains("task_spec"), "{told}");

    let (_server, session) = alone("greedy", &[("--json-depth", "100")]);
    assert_eq!(swallow(&session, 21).text(), "swallowed");
    assert_eq!(nest(&session, 21).text(), "nested");
}

/// What the log grows by while a guest writes 64 MiB to its standard output,
/// and the warning that something was dropped.
fn flooded(server: &Server, session: &Session) -> usize {
    let before = server.log().len();
    let call = session.call("act", json!({"how": "flood_stdout"}));
    // To say too much is no fault.
    assert_eq!(call.text(), "fine");
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    let start = Instant::now();
    loop {
        let log = server.log();
        if log[before..].contains("over its limit was dropped") {
            return log.len() - before;
        }
        assert!(start.elapsed() < SOON, "no word of what was dropped");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the log may be larger by than what the guest wrote: the rest of the
/// log has its own lines, and a line has a beginning.
const AROUND: usize = 64 << 10;

pub(super) fn log_of_a_call() {
    let flags = |limit| [("--guest-log-limit", limit), ("--guest-log-total", "1GiB")];
    let (server, session) = alone("hostile", &flags("4KiB"));
    assert!(flooded(&server, &session) < (4 << 10) + AROUND);
    // Each call has its own.
    let again = flooded(&server, &session);
    assert!((4 << 10..(4 << 10) + AROUND).contains(&again), "{again}");
    let (server, session) = alone("hostile", &flags("1MiB"));
    assert!(flooded(&server, &session) > 1 << 20);
}

pub(super) fn log_of_a_session() {
    let flags = |limit| [("--guest-log-limit", "1MiB"), ("--guest-log-total", limit)];
    let (server, session) = alone("hostile", &flags("8KiB"));
    assert!(flooded(&server, &session) < (8 << 10) + AROUND);
    // Nothing is left.
    session.call("act", json!({"how": "flood_stdout"}));
    let said = server.log().matches("~~~").count();
    session.call("act", json!({"how": "flood_stdout"}));
    assert_eq!(server.log().matches("~~~").count(), said);
    // Another session has its own.
    let other = open(&server.ors(), "hostile", json!({}));
    assert!(flooded(&server, &other) > 8 << 10);
    let (server, session) = alone("hostile", &flags("1GiB"));
    assert!(flooded(&server, &session) > 1 << 20);
}
