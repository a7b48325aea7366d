//! Shutdown: the first signal drains, the second one ends the server at once.

use std::time::{Duration, Instant};

use orwd_tests::http::HttpConnection;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{ServeCommand, ServerProcess};
use rustix::process::Signal;
use serde_json::json;

use crate::support::TIMEOUT;

fn alpha(drain: &str) -> ServerProcess {
    ServeCommand::fixtures(&["alpha"])
        .set("--drain", drain)
        .start()
}

#[test]
fn an_idle_server_stops_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = alpha("30s");
        let session = server.ors().open("alpha", TaskSelector::At("train", 0));
        session.call("noargs", json!({}));
        server.signal(signal);
        assert_eq!(
            server.wait(Duration::from_secs(10)),
            Some(0),
            "{}",
            server.log()
        );
    }
}

#[test]
fn a_running_call_may_finish() {
    let mut server = alpha("30s");
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 4000, "tag": "last"}));
    stream.task_id();
    server.signal(Signal::TERM);
    let text = stream.finish().text();
    assert_eq!(text, r#"{"tag": "last", "start": 1, "end": 2}"#);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    let host = server.base().trim_start_matches("http://").to_owned();
    assert!(
        HttpConnection::open(&host).is_err(),
        "the server still accepts connections"
    );
}

#[test]
fn no_session_is_created_during_shutdown() {
    let mut server = alpha("30s");
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 4000}));
    stream.task_id();
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(500));
    // The connection or the request is refused, never accepted.
    let request = orwd_tests::http::HttpRequest::post("/create")
        .header(orwd_tests::ors::SESSION_HEADER, "late")
        .json(&json!({"split": "train", "index": 0}));
    if let Ok(answer) = ors.client().try_fetch(&request) {
        assert_eq!(answer.status(), 503, "{answer:?}");
    }
    stream.finish();
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
}

#[test]
fn a_call_longer_than_the_drain_is_not_waited_for() {
    let mut server = alpha("1s");
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 55_000}));
    stream.task_id();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    session.leave_open();
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = alpha("50s");
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 55_000}));
    stream.task_id();
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(700));
    let start = Instant::now();
    server.signal(Signal::TERM);
    let code = server.wait(Duration::from_secs(10));
    assert_ne!(code, Some(0), "an interrupted drain is not a success");
    assert!(start.elapsed() < Duration::from_secs(10));
    session.leave_open();
}

#[test]
fn sessions_are_torn_down_at_shutdown() {
    let mut server = ServeCommand::fixtures(&["broken"])
        .set("--durability", "none")
        .start();
    let session = server
        .ors()
        .open("broken", TaskSelector::Spec(json!({"where": "teardown"})));
    session.call("probe", json!({}));
    server.signal(Signal::TERM);
    // The failed teardown is logged and does not delay the shutdown.
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    assert!(
        server.log().contains("teardown exploded"),
        "{}",
        server.log()
    );
    session.leave_open();
}
