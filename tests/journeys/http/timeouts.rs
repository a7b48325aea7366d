//! Timeouts and size limits: clients that are slow, send too much or have gone,
//! and idle sessions.

use std::time::{Duration, Instant};

use orwd_tests::background::wait_until;
use orwd_tests::expect::{assert_error, error_detail};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, SessionClient, TaskSelector};
use orwd_tests::process::ServeCommand;
use serde_json::json;

use crate::support::TIMEOUT;

#[test]
fn the_size_of_a_body_is_limited() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--body-limit", "4KiB")
        .start();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let echo = |length: usize| {
        let body = json!({"name": "echo", "input": {"text": "x".repeat(length)}});
        session.post("call", &body)
    };
    assert_eq!(echo(3500).status(), 200);
    error_detail(&echo(4500), 413);

    // A body without a length is counted as it arrives.
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nHost: localhost\r\n{SESSION_HEADER}: {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        session.id()
    );
    let mut connection = ors.client().connect();
    connection.send_raw(head.as_bytes()).unwrap();
    let piece = format!("400\r\n{}\r\n", " ".repeat(1024));
    for _ in 0..6 {
        // The server may have responded and closed by now.
        let _ = connection.send_raw(piece.as_bytes());
    }
    let _ = connection.send_raw(b"0\r\n\r\n");
    assert_eq!(connection.read_head().unwrap().status, 413);
    assert_eq!(echo(10).status(), 200);
}

#[test]
fn the_size_of_headers_is_limited() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--header-limit", "8KiB")
        .start();
    let ors = server.ors();
    let with = |length: usize| {
        let request = HttpRequest::get("/health").header("X-Padding", "x".repeat(length));
        ors.client().try_fetch(&request)
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
fn the_time_for_headers_and_bodies_is_limited() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--header-timeout", "1s")
        .set("--body-timeout", "1s")
        .start();
    let check = |part: &str| {
        let mut connection = server.ors().client().connect();
        connection.send_raw(part.as_bytes()).unwrap();
        let start = Instant::now();
        // An error or a closed connection, but not an open one.
        if let Ok(head) = connection.read_head() {
            assert!(matches!(head.status, 400 | 408), "{head:?}");
        }
        assert!(start.elapsed() < TIMEOUT, "{part:?}: {:?}", start.elapsed());
    };
    check("GET /health HTTP/1.1\r\nHost: localhost\r\n");
    check(
        "POST /alpha/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 50\r\n\r\n{\"split\"",
    );
    assert_eq!(server.ors().get("/health").status(), 200);
}

#[test]
fn a_client_that_reads_nothing_is_disconnected() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--write-timeout", "500ms")
        .set("--result-limit", "64MiB")
        .start();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    // More than the socket buffers on both sides hold.
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
    // The result can still be fetched.
    assert!(session.resume(&task_id).text() == unit.repeat(count));
}

#[test]
fn connections_in_total_are_limited() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--max-connections", "2")
        .start();
    let ors = server.ors();
    let idle: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = ors.client().connect();
            let answer = connection.fetch(&HttpRequest::get("/health")).unwrap();
            assert_eq!(answer.status(), 200);
            connection
        })
        .collect();
    let mut third = ors.client().connect();
    third.send(&HttpRequest::get("/health")).unwrap();
    third.set_read_timeout(Duration::from_secs(2)).unwrap();
    assert!(third.read_head().is_err(), "it waits for a slot");
    drop(idle);
    third.set_read_timeout(TIMEOUT).unwrap();
    assert_eq!(third.read_response().unwrap().status(), 200);
}

#[test]
fn an_idle_session_expires() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--idle-timeout", "4s")
        .start();
    let ors = server.ors();
    let open = || ors.open("alpha", TaskSelector::At("train", 1));
    let unknown = json!({"name": "noargs", "input": {}, "task_id": "unknown"});
    let kept: Vec<(SessionClient, HttpRequest)> = [
        HttpRequest::post("/ping"),
        HttpRequest::get("/alpha/task_tools"),
        HttpRequest::get("/alpha/prompt"),
        HttpRequest::get("/alpha/messages"),
        HttpRequest::post("/alpha/call").json(&unknown),
    ]
    .map(|request| (open(), request))
    .into();
    // A request for the session would keep it alive, so the test creates one
    // with the same id, which must not keep it alive.
    let create = HttpRequest::post("/create").json(&json!({"split": "train", "index": 0}));
    let mut idle: Vec<(SessionClient, HttpRequest)> = [
        HttpRequest::get("/health"),
        HttpRequest::get("/version"),
        HttpRequest::get("/alpha/tools"),
        HttpRequest::post("/delete_session"),
    ]
    .map(|request| (open(), request))
    .into();
    let working = open();
    let mut stream = working.start("sleep", json!({"ms": 12_000}));
    stream.task_id();

    let ask = |session: &SessionClient, request: &HttpRequest| {
        ors.fetch(&request.clone().header(SESSION_HEADER, session.id()))
    };
    wait_until("the idle sessions have expired", TIMEOUT, || {
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
    // A session with a call in flight is not idle.
    assert!(stream.finish().text().contains("\"end\": 2"));
    assert_eq!(working.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_request_during_setup_gets_a_503() {
    let server = ServeCommand::fixtures(&["slow"])
        .set("--setup-wait", "1s")
        .start();
    let ors = server.ors();
    let session = ors.open("slow", TaskSelector::Spec(json!({"setup_ms": 4000})));
    let early = session.get("prompt");
    assert_error(&early, 503, "Environment still starting.");
    assert_eq!(early.header("x-backend-state"), Some("starting"));
    assert_eq!(early.header("retry-after"), Some("2"));
    wait_until("the session is ready", TIMEOUT, || {
        session.get("prompt").status() == 200
    });
}

#[test]
fn a_result_expires() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--result-ttl", "2s")
        .start();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    // The time to live starts at the end of the run.
    let mut stream = session.start("sleep", json!({"ms": 4000, "tag": "kept"}));
    let task_id = stream.task_id();
    drop(stream);
    assert!(session.resume(&task_id).text().contains("kept"));
    // Fetching the result does not extend it.
    wait_until("the result is forgotten", TIMEOUT, || {
        session.resume(&task_id).names() == ["error"]
    });
    assert_eq!(session.resume(&task_id).error(), "unknown task_id");
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}
