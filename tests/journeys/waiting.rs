//! Each limit of how long and how much the server waits for: clients that are
//! slow, large or gone, and sessions that nobody uses.

use std::time::{Duration, Instant};

use orwd_tests::expect::{detail, refuses};
use orwd_tests::http::Request;
use orwd_tests::later::wait_until;
use orwd_tests::ors::{SESSION_HEADER, Session, Task};
use orwd_tests::server::Serve;
use serde_json::json;

use crate::SOON;

#[test]
fn size_of_a_body() {
    let server = Serve::fixtures(&["alpha"])
        .set("--body-limit", "4KiB")
        .start();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    let echo = |length: usize| {
        let body = json!({"name": "echo", "input": {"text": "x".repeat(length)}});
        session.post("call", &body)
    };
    assert_eq!(echo(3500).status(), 200);
    detail(&echo(4500), 413);

    // A body that does not say its length is counted as it comes.
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nHost: localhost\r\n{SESSION_HEADER}: {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        session.id()
    );
    let mut connection = ors.client().connect();
    connection.send_raw(head.as_bytes()).unwrap();
    let piece = format!("400\r\n{}\r\n", " ".repeat(1024));
    for _ in 0..6 {
        // The server may have answered and closed by now.
        let _ = connection.send_raw(piece.as_bytes());
    }
    let _ = connection.send_raw(b"0\r\n\r\n");
    assert_eq!(connection.read_head().unwrap().status, 413);
    assert_eq!(echo(10).status(), 200);
}

#[test]
fn size_of_headers() {
    let server = Serve::fixtures(&["alpha"])
        .set("--header-limit", "8KiB")
        .start();
    let ors = server.ors();
    let with = |length: usize| {
        let request = Request::get("/health").header("X-Padding", "x".repeat(length));
        ors.client().try_ask(&request)
    };
    assert_eq!(with(4000).unwrap().status(), 200);
    let refused = with(20_000);
    assert!(
        refused
            .as_ref()
            .map_or(true, |answer| answer.status() == 431),
        "{refused:?}"
    );
    assert_eq!(with(10).unwrap().status(), 200);
}

#[test]
fn time_of_headers_and_of_bodies() {
    let server = Serve::fixtures(&["alpha"])
        .set("--header-timeout", "1s")
        .set("--body-timeout", "1s")
        .start();
    let check = |part: &str| {
        let mut connection = server.ors().client().connect();
        connection.send_raw(part.as_bytes()).unwrap();
        let start = Instant::now();
        // Told or cut off, but not kept.
        if let Ok(head) = connection.read_head() {
            assert!(matches!(head.status, 400 | 408), "{head:?}");
        }
        assert!(start.elapsed() < SOON, "{part:?}: {:?}", start.elapsed());
    };
    check("GET /health HTTP/1.1\r\nHost: localhost\r\n");
    check(
        "POST /alpha/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 50\r\n\r\n{\"split\"",
    );
    assert_eq!(server.ors().get("/health").status(), 200);
}

#[test]
fn time_in_which_a_client_takes_nothing() {
    let server = Serve::fixtures(&["alpha"])
        .set("--write-timeout", "500ms")
        .set("--result-limit", "64MiB")
        .start();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    // More than the sockets on both sides take up by themselves.
    let (unit, count) = ("0123456789abcdef", 1 << 20);
    let body = json!({"name": "big", "input": {"unit": unit, "count": count}});
    let mut connection = ors.client().connect();
    connection
        .send(&session.post_request("call", &body))
        .unwrap();
    assert_eq!(connection.read_head().unwrap().status, 200);
    let first = connection.read_piece().unwrap().expect("the run's id");
    let first = String::from_utf8(first).unwrap();
    let task_id = first["event: task_id\r\ndata: ".len()..][..32].to_owned();
    std::thread::sleep(Duration::from_secs(5));
    let cut = loop {
        match connection.read_piece() {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(
        cut,
        "the connection was kept for a client that took nothing"
    );
    // The result is not lost with it.
    assert!(session.resume(&task_id).text() == unit.repeat(count));
}

#[test]
fn connections_in_all() {
    let server = Serve::fixtures(&["alpha"])
        .set("--max-connections", "2")
        .start();
    let ors = server.ors();
    let idle: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = ors.client().connect();
            let answer = connection.ask(&Request::get("/health")).unwrap();
            assert_eq!(answer.status(), 200);
            connection
        })
        .collect();
    let mut third = ors.client().connect();
    third.send(&Request::get("/health")).unwrap();
    third.set_patience(Duration::from_secs(2)).unwrap();
    assert!(third.read_head().is_err(), "it waits for its turn");
    drop(idle);
    third.set_patience(SOON).unwrap();
    assert_eq!(third.read_response().unwrap().status(), 200);
}

#[test]
fn a_session_that_nobody_talks_to() {
    let server = Serve::fixtures(&["alpha"])
        .set("--idle-timeout", "4s")
        .start();
    let ors = server.ors();
    let open = || ors.open("alpha", Task::At("train", 1));
    let unknown = json!({"name": "noargs", "input": {}, "task_id": "unknown"});
    let kept: Vec<(Session, Request)> = [
        Request::post("/ping"),
        Request::get("/alpha/task_tools"),
        Request::get("/alpha/prompt"),
        Request::get("/alpha/messages"),
        Request::post("/alpha/call").json(&unknown),
    ]
    .map(|request| (open(), request))
    .into();
    // To ask whether a session is there would keep it there, so its id is
    // tried, which must not keep it either.
    let create = Request::post("/create").json(&json!({"split": "train", "index": 0}));
    let mut idle: Vec<(Session, Request)> = [
        Request::get("/health"),
        Request::get("/version"),
        Request::get("/alpha/tools"),
        Request::post("/delete_session"),
    ]
    .map(|request| (open(), request))
    .into();
    let working = open();
    let mut stream = working.start("sleep", json!({"ms": 12_000}));
    stream.task_id();

    let ask = |session: &Session, request: &Request| {
        ors.ask(&request.clone().header(SESSION_HEADER, session.id()))
    };
    wait_until("the idle sessions are gone", SOON, || {
        for (session, request) in &kept {
            assert_eq!(ask(session, request).status(), 200, "{request:?}");
        }
        idle.retain(|(session, request)| {
            ask(session, request);
            ask(session, &create).status() != 200
        });
        std::thread::sleep(Duration::from_millis(200));
        idle.is_empty()
    });
    for (session, _) in &kept {
        assert!(session.call("spec", json!({})).text().contains("train-1"));
    }
    // A session at work is not idle, however long it takes.
    assert!(stream.finish().text().contains("\"end\": 2"));
    assert_eq!(working.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_request_that_comes_before_the_session_is_ready() {
    let server = Serve::fixtures(&["slow"]).set("--setup-gate", "1s").start();
    let ors = server.ors();
    let session = ors.open("slow", Task::Spec(json!({"setup_ms": 4000})));
    let early = session.get("prompt");
    refuses(&early, 503, "Environment still starting.");
    assert_eq!(early.header("x-backend-state"), Some("starting"));
    assert_eq!(early.header("retry-after"), Some("2"));
    wait_until("the session is ready", SOON, || {
        session.get("prompt").status() == 200
    });
}

#[test]
fn a_result_that_nobody_fetches() {
    let server = Serve::fixtures(&["alpha"])
        .set("--result-linger", "2s")
        .start();
    let session = server.ors().open("alpha", Task::At("train", 0));
    // The time counts from the end of the run.
    let mut stream = session.start("sleep", json!({"ms": 4000, "tag": "kept"}));
    let task_id = stream.task_id();
    drop(stream);
    assert!(session.resume(&task_id).text().contains("kept"));
    // To fetch it does not prolong it.
    wait_until("the result is forgotten", SOON, || {
        session.resume(&task_id).names() == ["error"]
    });
    assert_eq!(session.resume(&task_id).error(), "unknown task_id");
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}
