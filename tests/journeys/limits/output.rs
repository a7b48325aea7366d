//! The limits of a session's output: results, JSON, the log.

use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::ServerProcess;
use serde_json::{Value, json};

use super::support::{alone, faulted, open};
use crate::support::TIMEOUT;

fn big(session: &SessionClient, count: usize) -> orwd_tests::ors::StreamTranscript {
    session.call("big", json!({"unit": "x", "count": count}))
}

pub(super) fn size_of_a_result() {
    let (server, session) = alone("alpha", &[("--result-limit", "64KiB")]);
    assert_eq!(big(&session, 50_000).text().len(), 50_000);
    faulted(&session, &big(&session, 100_000), "limit_output");
    // A tool's error message counts as a result.
    let session = open(&server.ors(), "alpha", json!({}));
    let fail = |count| json!({"message": "x".repeat(count)});
    assert_eq!(session.call("fail", fail(50_000)).error().len(), 50_000);
    let call = session.call("fail", fail(100_000));
    faulted(&session, &call, "limit_output");
    let (_server, session) = alone("alpha", &[("--result-limit", "1MiB")]);
    assert_eq!(big(&session, 100_000).text().len(), 100_000);
}

pub(super) fn size_of_host_call_data() {
    let flags = |limit| [("--result-limit", "64MiB"), ("--host-call-limit", limit)];
    let (_server, session) = alone("alpha", &flags("256KiB"));
    assert_eq!(big(&session, 200_000).text().len(), 200_000);
    let call = big(&session, 2_000_000);
    faulted(&session, &call, "limit_output");
    assert!(call.error().contains("at once"), "{}", call.error());
    let (_server, session) = alone("alpha", &flags("32MiB"));
    assert_eq!(big(&session, 2_000_000).text().len(), 2_000_000);
}

/// Returns nested objects of this depth as text, since a parser of the test may
/// have a limit of its own.
fn nested(levels: usize) -> String {
    let (open, close) = ("{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
    format!("{open}{{}}{close}")
}

fn nested_value(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

pub(super) fn depth_of_json() {
    let (server, session) = alone("consumer", &[("--json-depth", "20")]);
    let ors = server.ors();
    // The depth of an input includes the input object itself.
    let swallow = |session: &SessionClient, levels: usize| {
        session.call("swallow", json!({"given": nested_value(levels - 1)}))
    };
    assert_eq!(swallow(&session, 20).text(), "swallowed");
    let (reason, message) = swallow(&session, 21).refusal();
    assert_eq!(reason, "input_validation");
    assert!(message.contains("21 levels, and 20"), "{message}");
    // Any depth is refused before the value is built.
    let deep = nested(100_000);
    let body = format!("{{\"name\":\"swallow\",\"input\":{{\"given\":{deep}}}}}");
    let request = session.post_request("call", &json!({})).body(body);
    assert_eq!(ors.transcript(&request).reason(), "input_validation");

    // A result of the guest: the call fails, the session continues.
    let nest =
        |session: &SessionClient, levels: usize| session.call("nest", json!({"levels": levels}));
    let output = nest(&session, 20).output();
    assert_eq!(output["metadata"], nested_value(20));
    let call = nest(&session, 21);
    let detail = call.error();
    assert!(detail.starts_with("env_invalid_output: "), "{detail}");
    assert_eq!(nest(&session, 2).text(), "nested");

    // A task spec of the client.
    let create = |levels| {
        let task = TaskSelector::Spec(nested_value(levels));
        ors.create(&fresh_id(), &task.body("consumer"))
    };
    assert_eq!(create(20).status(), 200);
    let detail = error_detail(&create(21), 400);
    assert!(detail.contains("task_spec"), "{detail}");

    let (_server, session) = alone("consumer", &[("--json-depth", "100")]);
    assert_eq!(swallow(&session, 21).text(), "swallowed");
    assert_eq!(nest(&session, 21).text(), "nested");
}

/// Returns the growth of the log while a guest writes 64 MiB to its standard
/// output, until the warning about dropped output.
fn flooded(server: &ServerProcess, session: &SessionClient) -> usize {
    let before = server.log().len();
    let call = session.call("act", json!({"how": "flood_stdout"}));
    // Too much output is not a fault.
    assert_eq!(call.text(), "fine");
    let mark = fresh_id();
    let fine = session.post_request("call", &json!({"name": "fine", "input": {}}));
    let fine = session
        .ors()
        .transcript(&fine.header("X-Request-Id", &mark));
    assert_eq!(fine.text(), "fine");
    // The log is in order, so the guest's lines come before this request's.
    server.wait_for_log(&mark);
    server.log().len() - before
}

/// Waits for the line about dropped output of a session that was deleted.
fn dropped(server: &ServerProcess, session: &SessionClient) {
    session.delete();
    let said = |line: &str| line.contains("drop guest output") && line.contains(session.id());
    wait_until("dropped output is said", TIMEOUT, || {
        server.log().lines().any(said)
    });
}

/// Bytes of the log beside the guest's output: other lines, and line prefixes.
const OVERHEAD: usize = 64 << 10;

pub(super) fn log_output_of_a_call() {
    let flags = |limit| [("--guest-log-limit", limit), ("--guest-log-total", "1GiB")];
    let (server, session) = alone("hostile", &flags("4KiB"));
    assert!(flooded(&server, &session) < (4 << 10) + OVERHEAD);
    // Each call has its own limit.
    let again = flooded(&server, &session);
    assert!((4 << 10..(4 << 10) + OVERHEAD).contains(&again), "{again}");
    dropped(&server, &session);
    let (server, session) = alone("hostile", &flags("1MiB"));
    assert!(flooded(&server, &session) > 1 << 20);
}

pub(super) fn log_output_of_a_session() {
    let flags = |limit| [("--guest-log-limit", "1MiB"), ("--guest-log-total", limit)];
    let (server, session) = alone("hostile", &flags("8KiB"));
    assert!(flooded(&server, &session) < (8 << 10) + OVERHEAD);
    // The limit is used up.
    session.call("act", json!({"how": "flood_stdout"}));
    let said = server.log().matches("~~~").count();
    session.call("act", json!({"how": "flood_stdout"}));
    assert_eq!(server.log().matches("~~~").count(), said);
    // Another session has its own limit.
    let other = open(&server.ors(), "hostile", json!({}));
    assert!(flooded(&server, &other) > 8 << 10);
    let (server, session) = alone("hostile", &flags("1GiB"));
    assert!(flooded(&server, &session) > 1 << 20);
}
