//! The session id header, and HTTP itself.

use orwd_tests::expect::{NO_ID, NO_SESSION, assert_error, assert_json};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::{Value, json};

use crate::support::{open, ors};

/// Returns every route that needs a session, with a valid body.
fn session_routes() -> Vec<(&'static str, &'static str, Option<Value>)> {
    let call = json!({"name": "noargs", "input": {}});
    vec![
        ("GET", "/alpha/prompt", None),
        ("GET", "/alpha/messages", None),
        ("GET", "/alpha/task_tools", None),
        ("POST", "/alpha/call", Some(call)),
        (
            "POST",
            "/alpha/score_group",
            Some(json!({"candidates": []})),
        ),
        ("POST", "/ping", None),
    ]
}

fn request(method: &str, path: &str, body: &Option<Value>) -> HttpRequest {
    match body {
        Some(body) => HttpRequest::new(method, path).json(body),
        None => HttpRequest::new(method, path),
    }
}

#[test]
fn a_session_route_needs_the_header() {
    let mut routes = session_routes();
    let create = json!({"split": "train", "index": 0});
    routes.push(("POST", "/create", Some(create)));
    routes.push(("POST", "/delete", None));
    routes.push(("POST", "/delete_session", None));
    for (method, path, body) in routes {
        let bare = request(method, path, &body);
        assert_error(&ors().fetch(&bare), 400, NO_ID);
        for blank in ["", "   "] {
            let answer = ors().fetch(&bare.clone().header(SESSION_HEADER, blank));
            assert_error(&answer, 400, NO_ID);
        }
    }
}

#[test]
fn an_unknown_session_is_not_found() {
    for (method, path, body) in session_routes() {
        let request = request(method, path, &body).header(SESSION_HEADER, fresh_id());
        assert_error(&ors().fetch(&request), 404, NO_SESSION);
    }
}

#[test]
fn a_session_id_is_trimmed_and_otherwise_unchanged() {
    let session = open("alpha");
    let id = session.id();
    let check = |headers: &[(&str, &str)], status: u16| {
        let mut ping = HttpRequest::post("/ping");
        for (name, value) in headers {
            ping = ping.header(name, *value);
        }
        assert_eq!(ors().fetch(&ping).status(), status, "{headers:?}");
    };
    check(&[("x-session-id", id)], 200);
    check(&[("X-SESSION-ID", &format!("  {id}  "))], 200);
    check(&[(SESSION_HEADER, &format!("x{id}"))], 404);
    check(&[(SESSION_HEADER, &format!("{id} {id}"))], 404);
    // The first of repeated headers counts.
    check(&[(SESSION_HEADER, id), (SESSION_HEADER, "other")], 200);
    check(&[(SESSION_HEADER, "other"), (SESSION_HEADER, id)], 404);
}

#[test]
fn a_client_may_choose_any_id() {
    let unique = fresh_id();
    for id in [
        format!("Upper-{unique}"),
        format!("with space {unique}"),
        format!("§$%&/\"'\\{unique}"),
        format!("../{unique}?x=#"),
        format!("{unique}{}", "x".repeat(300)),
    ] {
        if !id.is_ascii() {
            // The encoding of header bytes is unspecified.
            continue;
        }
        let answer = ors().create(&id, &json!({"split": "train", "index": 0}));
        assert_json(&answer, 200, &json!({"sid": id}));
        let session = ors().session("alpha", &id);
        assert_eq!(session.ping().status(), 200);
        if id.starts_with("Upper") {
            let lower = ors().post_empty(&id.to_lowercase(), "/ping");
            assert_error(&lower, 404, NO_SESSION);
        }
    }
}

#[test]
fn unneeded_bodies_are_ignored() {
    let session = open("alpha");
    let garbage = |path: &str, id: &str| {
        let request = HttpRequest::post(path)
            .header(SESSION_HEADER, id)
            .json_text("{garbage");
        ors().fetch(&request).status()
    };
    assert_eq!(garbage("/ping", session.id()), 200);
    assert_eq!(garbage("/delete_session", session.id()), 200);
    assert_eq!(garbage("/delete", session.id()), 200);
    assert_eq!(session.ping().status(), 404);
}

#[test]
fn one_connection_carries_many_requests() {
    let session = open("alpha");
    let mut connection = ors().client().connect();
    for text in ["first", "second", "third"] {
        let health = connection.fetch(&HttpRequest::get("/health")).unwrap();
        assert_eq!(health.status(), 200);
        let refused = connection
            .fetch(&HttpRequest::get("/alpha/nosuch"))
            .unwrap();
        assert_eq!(refused.status(), 404);
        let body = json!({"name": "echo", "input": {"text": text}});
        let call = connection
            .fetch(&session.post_request("call", &body))
            .unwrap();
        assert!(call.text().contains(text), "{call:?}");
    }
}

#[test]
fn a_request_may_be_chunked_and_fragmented() {
    let session = open("alpha");
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nHost: localhost\r\nX-Session-ID: {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        session.id()
    );
    let mut connection = ors().client().connect();
    connection.send_raw(head.as_bytes()).unwrap();
    let body = r#"{"name":"echo","input":{"text":"in pieces"}}"#;
    for piece in body.as_bytes().chunks(7) {
        let size = format!("{:x}\r\n", piece.len());
        connection.send_raw(size.as_bytes()).unwrap();
        connection.send_raw(piece).unwrap();
        connection.send_raw(b"\r\n").unwrap();
    }
    connection.send_raw(b"0\r\n\r\n").unwrap();
    let answer = connection.read_response().unwrap();
    assert!(answer.text().contains("in pieces"), "{answer:?}");
}

#[test]
fn invalid_http_gets_a_400_and_affects_no_other_client() {
    for bytes in [
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /create HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
    ] {
        let answer = ors().client().send_raw_and_read(bytes.as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400 "),
            "{bytes:?}: {text}"
        );
    }
    assert_eq!(ors().get("/health").status(), 200);
}

#[test]
fn a_client_that_disconnects_in_mid_request_affects_no_other() {
    for part in [
        "",
        "POST /alpha/tasks HT",
        "POST /alpha/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{\"spl",
    ] {
        let mut connection = ors().client().connect();
        connection.send_raw(part.as_bytes()).unwrap();
        drop(connection);
    }
    assert_eq!(ors().get("/health").status(), 200);
}
