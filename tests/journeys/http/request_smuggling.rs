//! Request smuggling: a request with two possible readings is not processed.
//!
//! Each case is a request on a raw socket, followed by a second one; both would
//! create a session. Which of the two sessions exist afterwards shows what the
//! server processed, whatever it responded. A proxy in front that saw a single
//! request in those bytes would not have checked the second one.

use std::time::Duration;

use orwd_tests::ors::{OrsClient, fresh_id};
use orwd_tests::process::ServeCommand;

/// A body of 16 bytes.
const TASK: &str = r#"{"task_spec":{}}"#;

/// The same body in chunks.
const CHUNKS: &str = "10\r\n{\"task_spec\":{}}\r\n0\r\n\r\n";

/// The expected handling of the two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Both are processed, and the connection stays open.
    Both,
    /// The first is processed, and the connection is closed.
    First,
    /// None is processed: the response has this status, and the connection is
    /// closed.
    Neither(u16),
    /// None is processed, and the connection is closed, with or without a
    /// response, since it is unclear which request that would belong to.
    Dropped,
}

use Expected::{Both, Dropped, First, Neither};

/// A request: its line, what stands between `RestartableServer` and the end of the head,
/// and its body. `SID` is the session's id.
struct SmugglingCase {
    line: &'static str,
    fields: &'static str,
    body: &'static str,
    expected: Expected,
}

/// A case with an ordinary request line.
const fn framed(fields: &'static str, body: &'static str, expected: Expected) -> SmugglingCase {
    SmugglingCase {
        line: "POST /create HTTP/1.1\r\n",
        fields,
        body,
        expected,
    }
}

/// A case with an ordinary body and another request line.
const fn lined(line: &'static str, expected: Expected) -> SmugglingCase {
    SmugglingCase {
        line,
        fields: "Content-Length: 16\r\n",
        body: TASK,
        expected,
    }
}

/// A case with an ordinary body and extra fields.
const fn also(fields: &'static str, expected: Expected) -> SmugglingCase {
    framed(fields, TASK, expected)
}

const CASES: &[SmugglingCase] = &[
    // Unambiguous requests are processed in sequence.
    also("Content-Length: 16\r\n", Both),
    also("content-length:16\r\n", Both),
    also("Content-Length: \t 16 \t\r\n", Both),
    also("Content-Length: 0000000016\r\n", Both),
    also("Content-Length: 16\r\nX-Empty:\r\n", Both),
    also("Content-Length: 16\r\nX-Content-Length: 5\r\n", Both),
    lined("\r\n\r\nPOST /create HTTP/1.1\r\n", Both),
    // A header named by `Connection` still frames the body.
    also("Connection: Content-Length\r\nContent-Length: 16\r\n", Both),
    // A chunked request is processed, and is the last of its connection.
    framed("Transfer-Encoding: chunked\r\n", CHUNKS, First),
    framed("transfer-encoding:CHUNKED\r\n", CHUNKS, First),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "8;a=b\r\n{\"task_s\r\n8;x=\"y\"\r\npec\":{}}\r\n0;z\r\nTrailer: x\r\n\r\n",
        First,
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "0010\r\n{\"task_spec\":{}}\r\n000\r\n\r\n",
        First,
    ),
    // Trailers do not frame anything.
    framed(
        "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n",
        "10\r\n{\"task_spec\":{}}\r\n0\r\nContent-Length: 5\r\n\r\n",
        First,
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10\r\n{\"task_spec\":{}}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        First,
    ),
    // Requests that close the connection.
    also("Content-Length: 16\r\nConnection: close\r\n", First),
    lined("POST /create HTTP/1.0\r\n", First),
    SmugglingCase {
        line: "POST /create HTTP/1.0\r\n",
        fields: "Content-Length: 16\r\nConnection: keep-alive\r\n",
        body: TASK,
        expected: First,
    },
    // A length and a transfer encoding.
    framed(
        "Content-Length: 16\r\nTransfer-Encoding: chunked\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\nContent-Length: 16\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        CHUNKS,
        Neither(400),
    ),
    // Repeated and invalid lengths.
    also("Content-Length: 16\r\nContent-Length: 16\r\n", Neither(400)),
    also("Content-Length: 16\r\nContent-Length: 0\r\n", Neither(400)),
    also("Content-Length: 0\r\nContent-Length: 16\r\n", Neither(400)),
    also("Content-Length: 16\r\ncontent-LENGTH: 17\r\n", Neither(400)),
    also("Content-Length: 16, 16\r\n", Neither(400)),
    also("Content-Length: 16,0\r\n", Neither(400)),
    also("Content-Length: -1\r\n", Neither(400)),
    also("Content-Length: +16\r\n", Neither(400)),
    also("Content-Length: 0x10\r\n", Neither(400)),
    also("Content-Length: 16.0\r\n", Neither(400)),
    also("Content-Length: 1 6\r\n", Neither(400)),
    also("Content-Length: \"16\"\r\n", Neither(400)),
    also("Content-Length:\r\n", Neither(400)),
    also("Content-Length: 18446744073709551616\r\n", Neither(400)),
    also(
        "Content-Length: 99999999999999999999999999\r\n",
        Neither(400),
    ),
    also("Content-Length: 16\x0b\r\n", Neither(400)),
    also("Content-Length: 16;\r\n", Neither(400)),
    also("Content-Length: 16\u{a0}\r\n", Neither(400)),
    also("Content-Length: \u{661}\u{666}\r\n", Neither(400)),
    also("Content-Length: 16\r\nContent-Length:\r\n", Neither(400)),
    also("Content-Length: 1_6\r\n", Neither(400)),
    also("Content-Length: 1e1\r\n", Neither(400)),
    // Transfer encodings other than `chunked`.
    framed("Transfer-Encoding: xchunked\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunkedx\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: identity\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: gzip\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: gzip, chunked\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunked, gzip\r\n", CHUNKS, Neither(400)),
    framed(
        "Transfer-Encoding: chunked, chunked\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed("Transfer-Encoding: ,chunked\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: \"chunked\"\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunked;q=1\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: \x0bchunked\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding:\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunked\x0c\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunked\0\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chunk\u{e9}d\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding: chun ked\r\n", CHUNKS, Neither(400)),
    also("Content-Length: 16\r\nTransfer-Encoding:\r\n", Neither(400)),
    framed(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        CHUNKS,
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        CHUNKS,
        Neither(400),
    ),
    SmugglingCase {
        line: "POST /create HTTP/1.0\r\n",
        fields: "Transfer-Encoding: chunked\r\n",
        body: CHUNKS,
        expected: Neither(400),
    },
    // Irregular line endings and folded lines.
    lined("POST /create HTTP/1.1\n", Neither(400)),
    also("Content-Length: 16\n", Neither(400)),
    also("X: y\nContent-Length: 16\r\n", Neither(400)),
    also(
        "X: y\rContent-Length: 0\r\nContent-Length: 16\r\n",
        Neither(400),
    ),
    also("Content-Length: 16\r\n\n", Neither(400)),
    also("Content-Length: 16\r\nX: y\r\n folded\r\n", Neither(400)),
    also("X: y\r\n\tContent-Length: 16\r\n", Neither(400)),
    also("Content-Length:\r\n 16\r\n", Neither(400)),
    also(" Content-Length: 16\r\n", Neither(400)),
    also("X: y\r\r\nContent-Length: 16\r\n", Neither(400)),
    also("Content-Length: 16\r\n\rX: y\r\n", Neither(400)),
    framed("Transfer-Encoding:\r\n chunked\r\n", CHUNKS, Neither(400)),
    // Invalid names and values.
    also("Content-Length : 16\r\n", Neither(400)),
    framed("Transfer-Encoding : chunked\r\n", CHUNKS, Neither(400)),
    framed("Transfer-Encoding\t: chunked\r\n", CHUNKS, Neither(400)),
    also("Content-Length: 16\r\nX: a\0b\r\n", Neither(400)),
    also("Content-Length: 16\r\nX\0: a\r\n", Neither(400)),
    also("Content-Length: 16\0\r\n", Neither(400)),
    also("Content-Length: 16\r\n: x\r\n", Neither(400)),
    also("Content-Length: 16\r\nno colon\r\n", Neither(400)),
    also("Content-Length: 16\r\nContent Length: 0\r\n", Neither(400)),
    // Targets and hosts.
    lined("POST http://localhost/create HTTP/1.1\r\n", Both),
    lined("POST http://evil.example/create HTTP/1.1\r\n", Neither(400)),
    lined(
        "POST http://user@localhost/create HTTP/1.1\r\n",
        Neither(400),
    ),
    also("Content-Length: 16\r\nHost: localhost\r\n", Neither(400)),
    also("Content-Length: 16\r\nHost: evil.example\r\n", Neither(400)),
    lined("POST localhost:80 HTTP/1.1\r\n", Neither(400)),
    lined("POST create HTTP/1.1\r\n", Neither(400)),
    // Invalid request lines.
    lined("POST  /create HTTP/1.1\r\n", Neither(400)),
    lined("POST\t/create\tHTTP/1.1\r\n", Neither(400)),
    lined(" POST /create HTTP/1.1\r\n", Neither(400)),
    lined("POST /create HTTP/1.1 \r\n", Neither(400)),
    lined("POST /create HTTP/1.1 HTTP/1.1\r\n", Neither(400)),
    lined("POST /create HTTP/1.2\r\n", Neither(400)),
    lined("POST /create HTTP/2.0\r\n", Dropped),
    lined("POST /create http/1.1\r\n", Neither(400)),
    lined("POST /create HTTP/1.10\r\n", Neither(400)),
    lined("POST /create HTTP/01.1\r\n", Neither(400)),
    lined("POST /create HTTP/1,1\r\n", Neither(400)),
    lined("POST /create HTTPS/1.1\r\n", Neither(400)),
    lined("POST /create HTTP/1.1\r\r\n", Neither(400)),
    lined("POST /create\u{85}HTTP/1.1\r\n", Neither(400)),
    lined("POST /create\r\n", Neither(400)),
    lined("PO\0ST /create HTTP/1.1\r\n", Neither(400)),
    lined("POST /cre\0ate HTTP/1.1\r\n", Neither(400)),
    // Invalid chunks after an unambiguous head.
    framed("Transfer-Encoding: chunked\r\n", "x\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "-10\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "+10\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", " 10\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "\r\n10\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "1_0\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "10,\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "10\0\r\n", Neither(400)),
    framed("Transfer-Encoding: chunked\r\n", "10\r\r\n", Neither(400)),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "\u{ff11}0\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "0x10\r\n{\"task_spec\":{}}\r\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10000000000000010\r\n{\"task_spec\":{}}\r\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10\n{\"task_spec\":{}}\r\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10;a\n=b\r\n{\"task_spec\":{}}\r\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10\r\n{\"task_spec\":{}}garbage\r\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10\r\n{\"task_spec\":{}}\n0\r\n\r\n",
        Neither(400),
    ),
    framed(
        "Transfer-Encoding: chunked\r\n",
        "10\r\n{\"task_spec\":{}}\r\n0\r\nX: y\nZ: z\r\n\r\n",
        Dropped,
    ),
];

/// Returns the bytes of a case and of the request behind it.
fn wire(case: &SmugglingCase, first: &str, second: &str) -> Vec<u8> {
    let SmugglingCase {
        line, fields, body, ..
    } = case;
    let common = "Host: localhost\r\nContent-Type: application/json\r\n";
    let behind = format!(
        "POST /create HTTP/1.1\r\n{common}X-Session-ID: {second}\r\nContent-Length: 16\r\n\r\n{TASK}"
    );
    format!("{line}{common}X-Session-ID: {first}\r\n{fields}\r\n{body}{behind}").into_bytes()
}

/// Returns the status of the first response, if there is one, and whether the
/// server closes the connection after this number of responses.
fn exchange(ors: &OrsClient, bytes: &[u8], answers: usize) -> (Option<u16>, bool) {
    let mut connection = ors.client().connect();
    connection
        .set_read_timeout(Duration::from_secs(20))
        .expect("a socket");
    connection.send_raw(bytes).expect("the server takes bytes");
    let status = connection
        .read_response()
        .ok()
        .map(|answer| answer.status());
    for _ in 1..answers {
        let _ = connection.read_response();
    }
    // An open connection would accept another request.
    let alive = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let open = connection.send_raw(alive).is_ok() && connection.read_response().is_ok();
    (status, !open)
}

#[test]
fn an_ambiguous_request_is_not_processed() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let mut wrong = Vec::new();
    for case in CASES {
        let (first, second) = (fresh_id(), fresh_id());
        let answers = if case.expected == Both { 2 } else { 1 };
        let (status, closed) = exchange(&ors, &wire(case, &first, &second), answers);
        let acted = [&first, &second].map(|id| ors.post_empty(id, "/ping").status() == 200);
        let fits = match case.expected {
            Both => status == Some(200) && acted == [true, true] && !closed,
            First => status == Some(200) && acted == [true, false] && closed,
            Neither(expected) => status == Some(expected) && acted == [false, false] && closed,
            Dropped => status.is_none_or(|s| s >= 400) && acted == [false, false] && closed,
        };
        if !fits {
            wrong.push(format!(
                "{:?} {:?} {:?}: expected {:?}, got {status:?}, processed {acted:?}, closed \
                 {closed}",
                case.line, case.fields, case.body, case.expected
            ));
        }
        for id in [first, second] {
            ors.post_empty(&id, "/delete");
        }
    }
    let message = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{message}",
        wrong.len(),
        CASES.len()
    );
}

#[test]
fn the_error_names_the_ambiguity() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    for (head, part) in [
        (
            "Host: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "both",
        ),
        (
            "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            "more than one",
        ),
        ("Host: localhost\nContent-Length: 0\r\n", "CRLF"),
        ("", "exactly one Host"),
    ] {
        let request = format!("POST /create HTTP/1.1\r\n{head}\r\n");
        let answer = server.ors().client().send_raw_and_read(request.as_bytes());
        let answer = String::from_utf8(answer).expect("an answer in ASCII");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(
            answer.contains("{\"detail\":\"") && answer.contains(part),
            "{answer}"
        );
    }
}
