//! How the server stops: politely when asked once, at once when asked twice.

use std::time::{Duration, Instant};

use orwd_tests::http::Connection;
use orwd_tests::ors::Task;
use orwd_tests::server::{Serve, Server};
use rustix::process::Signal;
use serde_json::json;

use crate::SOON;

fn alpha(drain: &str) -> Server {
    Serve::fixtures(&["alpha"]).set("--drain", drain).start()
}

#[test]
fn an_idle_server_stops_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = alpha("30s");
        let session = server.ors().open("alpha", Task::At("train", 0));
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
fn a_running_call_is_let_finish() {
    let mut server = alpha("30s");
    let session = server.ors().open("alpha", Task::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 4000, "tag": "last"}));
    stream.task_id();
    server.signal(Signal::TERM);
    let text = stream.finish().text();
    assert_eq!(text, r#"{"tag": "last", "start": 1, "end": 2}"#);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    let host = server.base().trim_start_matches("http://").to_owned();
    assert!(Connection::open(&host).is_err(), "nobody listens any more");
}

#[test]
fn nothing_new_is_begun_while_it_stops() {
    let mut server = alpha("30s");
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 4000}));
    stream.task_id();
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(500));
    // Refused at the socket or in words, and never accepted.
    let request = orwd_tests::http::Request::post("/create")
        .header(orwd_tests::ors::SESSION_HEADER, "late")
        .json(&json!({"split": "train", "index": 0}));
    if let Ok(answer) = ors.client().try_ask(&request) {
        assert_eq!(answer.status(), 503, "{answer:?}");
    }
    stream.finish();
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
}

#[test]
fn a_call_that_goes_on_for_too_long_is_not_waited_for() {
    let mut server = alpha("1s");
    let session = server.ors().open("alpha", Task::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 55_000}));
    stream.task_id();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    session.forget();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = alpha("50s");
    let session = server.ors().open("alpha", Task::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 55_000}));
    stream.task_id();
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(700));
    let start = Instant::now();
    server.signal(Signal::TERM);
    let code = server.wait(Duration::from_secs(10));
    assert_ne!(code, Some(0), "a server that was cut off did not succeed");
    assert!(start.elapsed() < Duration::from_secs(10));
    session.forget();
}

#[test]
fn sessions_are_torn_down_and_their_clients_told() {
    let mut server = Serve::fixtures(&["broken"])
        .set("--durability", "none")
        .start();
    let session = server
        .ors()
        .open("broken", Task::Spec(json!({"where": "teardown"})));
    session.call("probe", json!({}));
    server.signal(Signal::TERM);
    // Its teardown fails, which is logged and stops nothing.
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    assert!(
        server.log().contains("teardown exploded"),
        "{}",
        server.log()
    );
    session.forget();
}
