//! Requests that are oversized, malformed, or for invalid session ids.

use std::collections::BTreeMap;

use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{OrsClient, SESSION_HEADER, TaskSelector, fresh_id};
use serde_json::json;

use std::time::Duration;

/// Longer than any socket timeout of the server in this family.
pub(super) const SOCKET_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the start of a `/create` request with this API key.
pub(super) fn create_head(key: &str) -> String {
    format!(
        "POST /create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-API-Key: {key}\r\n"
    )
}

/// Returns oversized requests: the name, the bytes, the accepted statuses. A
/// closed connection is accepted as well.
pub(super) fn oversized_requests(key: &str) -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let start = create_head(key);
    let head = |fields: String, body: &str| format!("{start}{fields}\r\n{body}").into_bytes();
    let mut endless = head("Transfer-Encoding: chunked\r\n".into(), "");
    endless.extend(
        format!("1000\r\n{}\r\n", "x".repeat(4096))
            .repeat(64)
            .bytes(),
    );
    let mut drops = head("Transfer-Encoding: chunked\r\n".into(), "");
    drops.extend("1\r\nx\r\n".repeat(40_000).bytes());
    let mut trailers = head("Transfer-Encoding: chunked\r\n".into(), "0\r\n");
    trailers.extend("X: y\r\n".repeat(100_000).bytes());
    vec![
        ("a header of a mebibyte", head(format!("X: {}\r\n", "x".repeat(1 << 20)), ""), &[431]),
        ("a hundred thousand headers", head("X: y\r\n".repeat(100_000), ""), &[431]),
        ("a name of a mebibyte", head(format!("{}: y\r\n", "x".repeat(1 << 20)), ""), &[400, 431]),
        (
            "a path of a mebibyte",
            format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
            &[400, 404, 414, 431],
        ),
        (
            "a method of a mebibyte",
            format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", "X".repeat(1 << 20)).into_bytes(),
            &[400, 405, 414, 431],
        ),
        ("a line that never ends", vec![b'x'; 1 << 20], &[400, 414, 431]),
        ("a content length of ten gibibytes", head("Content-Length: 10737418240\r\n".into(), "{"), &[413]),
        ("endless chunks", endless, &[413]),
        ("a body of chunks of one byte", drops, &[413, 400, 422, 408]),
        ("endless trailers", trailers, &[400, 413, 431]),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), &[400, 505]),
        ("a TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), &[400]),
        ("a WebSocket upgrade", b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n".to_vec(), &[200, 400, 401, 426]),
        ("a CONNECT request", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 401, 404, 405]),
    ]
}

/// Sends bytes unchanged and returns the status of the response, if there is one.
pub(super) fn send_raw(ors: &OrsClient, bytes: &[u8]) -> Option<u16> {
    let mut connection = ors.client().connect();
    connection
        .set_read_timeout(SOCKET_TIMEOUT)
        .expect("a socket");
    // The server may respond and close before it has read everything.
    let _ = connection.send_raw(bytes);
    connection.read_head().ok().map(|head| head.status)
}

/// Returns malformed bodies: each is refused with a 4xx.
fn malformed_bodies() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str, times: usize| {
        format!(
            "{{\"task_spec\":{}{}}}",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "x",
        "null",
        "true",
        "0",
        "-",
        "\"\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}}",
        "{}{}",
        "{\"task_spec\"",
        "{\"task_spec\":",
        "{\"task_spec\":}",
        "{\"task_spec\":{}",
        "{\"task_spec\":{},}",
        "{\"task_spec\":{}} x",
        "{'task_spec':{}}",
        "{task_spec:{}}",
        "{\"task_spec\":[]}",
        "{\"task_spec\":1}",
        "{\"task_spec\":\"{}\"}",
        "{\"task_spec\":null}",
        "{\"task_spec\":{\"a\":01}}",
        "{\"task_spec\":{\"a\":+1}}",
        "{\"task_spec\":{\"a\":.5}}",
        "{\"task_spec\":{\"a\":1.}}",
        "{\"task_spec\":{\"a\":0x1}}",
        "{\"task_spec\":{\"a\":\"\u{1}\"}}",
        "{\"task_spec\":{\"a\":\"\\x\"}}",
        "{\"task_spec\":{\"a\":\"\\u12\"}}",
        "/* */{\"task_spec\":{}}",
        "\u{feff}[\"task_spec\"]",
        "{\"env_name\":{},\"task_spec\":{}}",
        "{\"env_name\":\"../alpha\",\"task_spec\":{}}",
        "{\"split\":1,\"index\":\"x\"}",
        "{\"split\":\"train\",\"index\":1e400}",
        "{\"split\":\"train\",\"index\":99999999999999999999}",
        "{\"split\":\"train\",\"index\":0.5}",
        "{\"split\":\"train\",\"index\":-9223372036854775809}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    bodies.extend([
        deep("[", "]", 10_000).into_bytes(),
        deep("{\"a\":", "}", 5000).into_bytes(),
        "[".repeat(60_000).into_bytes(),
        b"{\"task_spec\":{\"a\":\"\xff\xfe\"}}".to_vec(),
        b"{\"task_spec\":{\"a\":\"\xed\xa0\x80\"}}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
        vec![0; 1000],
    ]);
    bodies
}

/// Returns unusual bodies that are valid JSON.
fn unusual_bodies() -> Vec<String> {
    vec![
        format!("{{\"task_spec\":{{\"a\":{}}}}}", "9".repeat(60_000)),
        format!("{{\"task_spec\":{{\"a\":1e{}}}}}", "9".repeat(60_000)),
        format!("{{\"task_spec\":{{\"{}\":1}}}}", "k".repeat(60_000)),
        format!(
            "{{\"task_spec\":{{{}\"z\":0}}}}",
            (0..6000).map(|n| format!("\"{n}\":0,")).collect::<String>()
        ),
        format!("{{\"task_spec\":{{{}\"a\":1}}}}", "\"a\":0,".repeat(8000)),
        format!("{}{{\"task_spec\":{{}}}}", " ".repeat(60_000)),
        "{\"task_spec\":{},\"task_spec\":{\"b\":1}}".to_owned(),
        "{\"task_spec\":{\"__proto__\":{},\"constructor\":1,\"\":2}}".to_owned(),
        format!("{{\"task_spec\":{{\"a\":\"{}\"}}}}", "\\u0000".repeat(9000)),
    ]
}

/// Sends malformed and unusual bodies to several routes.
pub(super) fn odd_bodies(ors: &OrsClient) -> String {
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    let mut post = |route: &str, id: &str, body: Vec<u8>| {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(80)
            .collect::<String>();
        let request = HttpRequest::post(route)
            .header(SESSION_HEADER, id)
            .json_text(body);
        let status = ors.fetch(&request).status();
        assert!(status < 500, "{route}: {status} for {shown}");
        *seen.entry(status).or_default() += 1;
        (status, shown)
    };
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    for body in malformed_bodies() {
        let id = fresh_id();
        let (status, shown) = post("/create", &id, body.clone());
        assert!((400..500).contains(&status), "{status} for {shown}");
        assert_eq!(ors.post_empty(&id, "/ping").status(), 404, "{shown}");
        let (status, shown) = post("/alpha/call", session.id(), body.clone());
        assert!((400..500).contains(&status), "{status} for {shown}");
        post("/alpha/tasks", "none", body.clone());
        post("/alpha/score_group", session.id(), body);
    }
    for body in unusual_bodies() {
        let id = fresh_id();
        post("/create", &id, body.into_bytes());
        ors.post_empty(&id, "/delete");
    }
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
    format!("{seen:?}")
}

/// Sends session ids that are invalid or difficult to log.
pub(super) fn odd_ids(ors: &OrsClient) -> String {
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    for id in [
        "",
        " ",
        "a b",
        "../../etc/passwd",
        "%00",
        "\"",
        "é",
        "{}",
        &"x".repeat(8000),
        "a\tb",
        "\u{202e}x",
    ] {
        let create = HttpRequest::post("/create")
            .header(SESSION_HEADER, id)
            .json(&json!({"task_spec": {}}));
        let status = ors
            .client()
            .try_fetch(&create)
            .map_or(0, |answer| answer.status());
        assert!(status < 500, "{status} for {id:?}");
        *seen.entry(status).or_default() += 1;
        let _ = ors
            .client()
            .try_fetch(&HttpRequest::post("/delete").header(SESSION_HEADER, id));
    }
    format!("{seen:?}")
}
