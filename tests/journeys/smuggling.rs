//! One reading of every request: where two are possible, none is acted upon.
//!
//! Each case is a request on a raw socket with a second one behind it, both of
//! which would create a session. Afterwards the server is asked which of the
//! two sessions there are: that is what it acted upon, whatever it answered.
//! A proxy in front that saw one request in those bytes would have let the
//! second one pass unseen.

use std::time::Duration;

use orwd_tests::ors::{Ors, fresh_id};
use orwd_tests::server::Serve;

/// A task in 16 bytes.
const TASK: &str = r#"{"task_spec":{}}"#;

/// The same in chunks.
const CHUNKS: &str = "10\r\n{\"task_spec\":{}}\r\n0\r\n\r\n";

/// What becomes of the two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Both are acted upon, and the connection stays open.
    Both,
    /// The first is acted upon, and the connection is closed.
    First,
    /// None is: the answer is this, and the connection is closed.
    Neither(u16),
    /// None is, and the connection is closed; whether there is an answer is
    /// no matter, since nobody can know where it would belong.
    Dropped,
}

use Fate::{Both, Dropped, First, Neither};

/// A request: its line, what stands between `Host` and the end of the head,
/// and its body. `SID` is the session's id.
struct Case {
    line: &'static str,
    fields: &'static str,
    body: &'static str,
    fate: Fate,
}

/// An ordinary line, with other fields and another body.
const fn framed(fields: &'static str, body: &'static str, fate: Fate) -> Case {
    Case {
        line: "POST /create HTTP/1.1\r\n",
        fields,
        body,
        fate,
    }
}

/// An ordinary body, with another line.
const fn lined(line: &'static str, fate: Fate) -> Case {
    Case {
        line,
        fields: "Content-Length: 16\r\n",
        body: TASK,
        fate,
    }
}

/// An ordinary body, and one more field.
const fn also(fields: &'static str, fate: Fate) -> Case {
    framed(fields, TASK, fate)
}

const CASES: &[Case] = &[
    // What is clear passes, one after another.
    also("Content-Length: 16\r\n", Both),
    also("content-length:16\r\n", Both),
    also("Content-Length: \t 16 \t\r\n", Both),
    also("Content-Length: 0000000016\r\n", Both),
    also("Content-Length: 16\r\nX-Empty:\r\n", Both),
    also("Content-Length: 16\r\nX-Content-Length: 5\r\n", Both),
    lined("\r\n\r\nPOST /create HTTP/1.1\r\n", Both),
    // What a connection's header names is framing all the same.
    also("Connection: Content-Length\r\nContent-Length: 16\r\n", Both),
    // Chunks are read, and are the last of their connection.
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
    // What stands behind them frames nothing.
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
    // So are requests that say so.
    also("Content-Length: 16\r\nConnection: close\r\n", First),
    lined("POST /create HTTP/1.0\r\n", First),
    Case {
        line: "POST /create HTTP/1.0\r\n",
        fields: "Content-Length: 16\r\nConnection: keep-alive\r\n",
        body: TASK,
        fate: First,
    },
    // A length and an encoding.
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
    // Several lengths, and lengths that are none.
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
    // Encodings that are not `chunked`.
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
    Case {
        line: "POST /create HTTP/1.0\r\n",
        fields: "Transfer-Encoding: chunked\r\n",
        body: CHUNKS,
        fate: Neither(400),
    },
    // Lines that end or begin otherwise.
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
    // Names and values that are none.
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
    // Lines of a request that are none.
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
    // Chunks that are none, after a head that is clear.
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

/// The bytes of a case and of the request behind it.
fn wire(case: &Case, first: &str, second: &str) -> Vec<u8> {
    let Case {
        line, fields, body, ..
    } = case;
    let common = "Host: localhost\r\nContent-Type: application/json\r\n";
    let behind = format!(
        "POST /create HTTP/1.1\r\n{common}X-Session-ID: {second}\r\nContent-Length: 16\r\n\r\n{TASK}"
    );
    format!("{line}{common}X-Session-ID: {first}\r\n{fields}\r\n{body}{behind}").into_bytes()
}

/// The status of the first answer, if there is one, and whether the server
/// closes the connection by itself once it has given so many.
fn exchange(ors: &Ors, bytes: &[u8], answers: usize) -> (Option<u16>, bool) {
    let mut connection = ors.client().connect();
    connection
        .set_patience(Duration::from_secs(20))
        .expect("a socket");
    connection.send_raw(bytes).expect("the server takes bytes");
    let status = connection
        .read_response()
        .ok()
        .map(|answer| answer.status());
    for _ in 1..answers {
        let _ = connection.read_response();
    }
    // An open connection would take another request.
    let alive = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let open = connection.send_raw(alive).is_ok() && connection.read_response().is_ok();
    (status, !open)
}

#[test]
fn each_request_has_one_reading_or_none() {
    let server = Serve::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let mut wrong = Vec::new();
    for case in CASES {
        let (first, second) = (fresh_id(), fresh_id());
        let answers = if case.fate == Both { 2 } else { 1 };
        let (status, closed) = exchange(&ors, &wire(case, &first, &second), answers);
        let acted = [&first, &second].map(|id| ors.touch(id, "/ping").status() == 200);
        let fits = match case.fate {
            Both => status == Some(200) && acted == [true, true] && !closed,
            First => status == Some(200) && acted == [true, false] && closed,
            Neither(expected) => status == Some(expected) && acted == [false, false] && closed,
            Dropped => status.is_none_or(|s| s >= 400) && acted == [false, false] && closed,
        };
        if !fits {
            wrong.push(format!(
                "{:?} {:?} {:?}: expected {:?}, got {status:?}, acted upon {acted:?}, closed \
                 {closed}",
                case.line, case.fields, case.body, case.fate
            ));
        }
        for id in [first, second] {
            ors.touch(&id, "/delete");
        }
    }
    let told = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{told}",
        wrong.len(),
        CASES.len()
    );
}

#[test]
fn the_refusal_says_what_is_doubtful() {
    let server = Serve::fixtures(&["alpha"]).start();
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
        let answer = server.ors().client().ask_raw(request.as_bytes());
        let answer = String::from_utf8(answer).expect("an answer in ASCII");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(
            answer.contains("{\"detail\":\"") && answer.contains(part),
            "{answer}"
        );
    }
}
