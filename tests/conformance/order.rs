//! Calls of one session follow one another; sessions do not wait for each
//! other.
//!
//! Whether calls of different tools of one session may overlap is left open:
//! the contract's reference lets them, orwd does not.

use std::time::{Duration, Instant};

use orwd_tests::later::all_at_once;
use orwd_tests::ors::Session;
use orwd_tests::stream::Transcript;
use serde_json::{Value, json};

use crate::{open, ors};

/// When a sleeping tool began and ended, in the session's own counting.
fn span(call: &Transcript) -> (u64, u64) {
    let report: Value = serde_json::from_str(&call.text()).unwrap();
    let at = |member: &str| report[member].as_u64().unwrap();
    (at("start"), at("end"))
}

/// Starts calls one after another, each after the server has taken the one
/// before, and gives their spans.
fn spans(session: &Session, calls: &[(&str, u64)]) -> Vec<(u64, u64)> {
    let streams: Vec<_> = calls
        .iter()
        .map(|(tool, ms)| {
            let mut stream = session.start(tool, json!({ "ms": ms }));
            stream.task_id();
            stream
        })
        .collect();
    streams
        .into_iter()
        .map(|stream| span(&stream.finish()))
        .collect()
}

#[test]
fn calls_of_one_tool_are_first_come_first_served() {
    let calls = [("sleep", 500), ("sleep", 10), ("sleep", 200), ("sleep", 0)];
    let expected = [(1, 2), (3, 4), (5, 6), (7, 8)];
    assert_eq!(spans(&open("alpha"), &calls), expected);
}

#[test]
fn an_exclusive_call_waits_and_holds_back_what_comes_after() {
    let calls = [("sleep", 500), ("xsleep", 300), ("csleep", 10)];
    assert_eq!(spans(&open("alpha"), &calls), [(1, 2), (3, 4), (5, 6)]);
}

#[test]
fn a_call_that_fails_holds_back_nobody() {
    let session = open("alpha");
    for message in ["x", "y"] {
        let call = session.call("fail", json!({ "message": message }));
        assert_eq!(call.error(), message);
    }
    assert_eq!(spans(&session, &[("xsleep", 1)]), [(1, 2)]);
}

#[test]
fn sessions_do_not_wait_for_each_other() {
    let sessions: Vec<Session> = (0..6).map(|_| open("alpha")).collect();
    let start = Instant::now();
    let spans = all_at_once(
        sessions
            .into_iter()
            .map(|session| move || span(&session.call("sleep", json!({"ms": 2000})))),
    );
    assert_eq!(spans, [(1, 2); 6]);
    // One after another would be twelve seconds.
    assert!(
        start.elapsed() < Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn other_routes_answer_while_a_tool_runs() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 2500}));
    stream.task_id();
    let start = Instant::now();
    assert_eq!(session.ping().status(), 200);
    for path in ["/health", "/alpha/tools", "/alpha/splits"] {
        assert_eq!(ors().get(path).status(), 200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(span(&stream.finish()), (1, 2));
}
