//! Calls of one session run in sequence; sessions run concurrently.
//!
//! Whether calls of different tools of one session may overlap is unspecified:
//! the reference allows it, orwd does not.

use std::time::{Duration, Instant};

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{SessionClient, StreamTranscript};
use serde_json::{Value, json};

use crate::support::{open, ors};

/// Returns when a sleeping tool started and ended, by the session's counter.
fn span(call: &StreamTranscript) -> (u64, u64) {
    let report: Value = serde_json::from_str(&call.text()).unwrap();
    let at = |member: &str| report[member].as_u64().unwrap();
    (at("start"), at("end"))
}

/// Starts calls in sequence, each after the server has accepted the one before,
/// and returns their spans.
fn spans(session: &SessionClient, calls: &[(&str, u64)]) -> Vec<(u64, u64)> {
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
fn calls_run_in_order_of_arrival() {
    let calls = [("sleep", 500), ("sleep", 10), ("sleep", 200), ("sleep", 0)];
    let expected = [(1, 2), (3, 4), (5, 6), (7, 8)];
    assert_eq!(spans(&open("alpha"), &calls), expected);
}

#[test]
fn an_exclusive_call_waits_and_blocks_later_calls() {
    let calls = [("sleep", 500), ("xsleep", 300), ("csleep", 10)];
    assert_eq!(spans(&open("alpha"), &calls), [(1, 2), (3, 4), (5, 6)]);
}

#[test]
fn a_failed_call_does_not_block_later_calls() {
    let session = open("alpha");
    for message in ["x", "y"] {
        let call = session.call("fail", json!({ "message": message }));
        assert_eq!(call.error(), message);
    }
    assert_eq!(spans(&session, &[("xsleep", 1)]), [(1, 2)]);
}

#[test]
fn sessions_run_concurrently() {
    let sessions: Vec<SessionClient> = (0..6).map(|_| open("alpha")).collect();
    let start = Instant::now();
    let spans = run_concurrently(
        sessions
            .into_iter()
            .map(|session| move || span(&session.call("sleep", json!({"ms": 2000})))),
    );
    assert_eq!(spans, [(1, 2); 6]);
    // In sequence they would take twelve seconds.
    assert!(
        start.elapsed() < Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn other_routes_respond_while_a_tool_runs() {
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
