//! Attacks by clients: slow sockets, oversized and malformed requests, floods of
//! small requests, and concurrent requests for the same sessions.
//!
//! Request smuggling and access between API keys are tested in `journeys`
//! (`request_smuggling`, `auth_and_origin`).

use super::http_requests::{
    SOCKET_TIMEOUT, create_head, odd_bodies, odd_ids, oversized_requests, send_raw,
};
use crate::harness::{ATTACKER_SESSIONS, AttackHarness, quick_or_soak};
use orwd_tests::background::{BackgroundTask, run_concurrently};
use orwd_tests::expect::error_detail;
use orwd_tests::http::{HttpConnection, HttpRequest};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, SessionClient, TaskSelector, fresh_id};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

const FLAGS: [&str; 16] = [
    // Tested in `journeys`; raised here so that requests reach the other limits.
    "--create-rate",
    "1000000",
    "--call-wall",
    "5s",
    "--header-timeout",
    "1s",
    "--body-timeout",
    "1s",
    "--keep-alive",
    "2s",
    "--write-timeout",
    "1s",
    "--body-limit",
    "64KiB",
    "--result-limit",
    "16MiB",
];

/// Raises this process's descriptor limit to its maximum.
fn raise_socket_limit() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).expect("a limit can be raised as far as it goes");
}

/// Opens `count` sockets that each send `begin` and then `drip` repeatedly;
/// returns how long the last one stayed open.
fn slow(ors: &OrsClient, count: usize, begin: &str, drip: &[u8]) -> String {
    let start = Instant::now();
    let mut open: Vec<HttpConnection> = (0..count)
        .map(|_| {
            let mut connection = ors.client().connect();
            let _ = connection.send_raw(begin.as_bytes());
            connection
                .set_read_timeout(Duration::from_millis(1))
                .expect("a socket");
            connection
        })
        .collect();
    while !open.is_empty() {
        assert!(
            start.elapsed() < SOCKET_TIMEOUT,
            "{} are still open",
            open.len()
        );
        open.retain_mut(|connection| {
            if !drip.is_empty() && connection.send_raw(drip).is_err() {
                return false;
            }
            // Closed, with or without an error response.
            match connection.read_to_end() {
                Ok(_) => false,
                Err(error) => matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ),
            }
        });
        std::thread::sleep(Duration::from_millis(50));
    }
    format!("all closed after {} ms", start.elapsed().as_millis())
}

/// Makes calls with results of 8 MiB and does not read them.
fn stalled(ors: &OrsClient, count: usize) -> String {
    let unit = "0123456789abcdef";
    let body = json!({"name": "big", "input": {"unit": unit, "count": 512 << 10}});
    let readers: Vec<(SessionClient, HttpConnection, String)> = (0..count)
        .map(|_| {
            let session = ors.open("alpha", TaskSelector::At("train", 0));
            let mut connection = ors.client().connect();
            connection
                .send(&session.post_request("call", &body))
                .expect("a request can be sent");
            assert_eq!(connection.read_head().expect("a head").status, 200);
            let first = connection
                .read_piece()
                .expect("a piece")
                .expect("the run's id");
            let first = String::from_utf8(first).expect("text");
            let run = first["event: task_id\r\ndata: ".len()..][..32].to_owned();
            (session, connection, run)
        })
        .collect();
    // Longer than the write timeout of this server.
    std::thread::sleep(Duration::from_secs(5));
    for (session, mut connection, run) in readers {
        let cut = loop {
            match connection.read_piece() {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(cut, "kept for a client that took nothing");
        assert_eq!(session.resume(&run).text().len(), 8 << 20);
    }
    "cut off; each result could be fetched afterwards".to_owned()
}

/// Creates sessions without a pause and deletes none until the end.
fn creations(ors: &OrsClient, count: usize) -> String {
    let task = TaskSelector::At("train", 0).body("alpha");
    let mut held: Vec<SessionClient> = Vec::new();
    let mut message = String::new();
    for _ in 0..count {
        let id = fresh_id();
        let answer = ors.create(&id, &task);
        if answer.status() == 200 {
            held.push(ors.session("alpha", &id));
        } else {
            message = error_detail(&answer, 503);
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
    }
    assert_eq!(held.len(), ATTACKER_SESSIONS, "{message}");
    format!("503 {message}, after {} sessions", held.len())
}

/// Repeats a request on a few connections.
fn flood(ors: &OrsClient, count: usize, request: &HttpRequest) -> String {
    let lanes = 4;
    let begin = Instant::now();
    run_concurrently((0..lanes).map(|_| {
        let (ors, request) = (ors.clone(), request.clone());
        move || {
            let mut connection = ors.client().connect();
            for _ in 0..count / lanes {
                let answer = connection.fetch(&request).expect("an answer");
                assert_eq!(answer.status(), 200, "{answer:?}");
            }
        }
    }));
    let each = begin.elapsed().as_secs_f64() * 1e6 / count as f64;
    format!("{count} answers, {each:.0} µs each")
}

/// Resumes one run from many clients: it runs once, and all get its result.
fn reattached(ors: &OrsClient, count: usize) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(session.call("bump", json!({})).text(), "1");
    let mut stream = session.start("sleep", json!({"ms": 1500, "tag": "once"}));
    let run = stream.task_id();
    drop(stream);
    let id = session.id().to_owned();
    let texts = run_concurrently((0..count).map(|_| {
        let (ors, id, run) = (ors.clone(), id.clone(), run.clone());
        move || {
            let session = ors.session("alpha", &id);
            let text = session.resume(&run).text();
            session.leave_open();
            text
        }
    }));
    assert!(
        texts
            .iter()
            .all(|text| text == &texts[0] && text.contains("once"))
    );
    assert_eq!(session.call("bump", json!({})).text(), "2");
    format!("{count} times the same result of one run")
}

/// Starts calls and disconnects at random times: each call runs once or not at
/// all, in order.
fn disconnected(ors: &OrsClient, times: u64) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let request = session.post_request("call", &json!({"name": "bump", "input": {}}));
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..times {
        let mut connection = ors.client().connect();
        connection.send(&request).expect("a request can be sent");
        std::thread::sleep(Duration::from_micros(random.random_range(0..3000)));
    }
    let count: u64 = session
        .call("bump", json!({}))
        .text()
        .parse()
        .expect("a number");
    assert!((1..=times + 1).contains(&count), "{count}");
    let next: u64 = session
        .call("bump", json!({}))
        .text()
        .parse()
        .expect("a number");
    assert_eq!(next, count + 1);
    format!("of {times} calls {} were made, none twice", count - 1)
}

/// Eight clients send random requests for the same few sessions: every response
/// is one of the expected statuses.
fn random_requests(ors: &OrsClient, steps: u64) -> String {
    let ids: Vec<String> = (0..4).map(|_| fresh_id()).collect();
    let seen = run_concurrently((0..8).map(|lane| {
        let (ors, ids) = (ors.clone(), ids.clone());
        move || {
            let mut random = StdRng::seed_from_u64(lane);
            let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
            for _ in 0..steps {
                let id = &ids[random.random_range(0..ids.len())];
                let call = json!({"name": "noargs", "input": {}});
                let answer = match random.random_range(0..6) {
                    0 | 1 => ors.create(id, &TaskSelector::At("train", 0).body("alpha")),
                    2 => match ors.try_post_as(id, "/alpha/call", &call) {
                        Ok(answer) => answer,
                        // Deleted between the call's id and its start: the
                        // stream is cut off, and a retry gets a 404.
                        Err(_) => {
                            *seen.entry(0).or_default() += 1;
                            continue;
                        }
                    },
                    3 => ors.post_empty(id, "/ping"),
                    4 => ors.fetch(&HttpRequest::get("/alpha/prompt").header(SESSION_HEADER, id)),
                    _ => ors.post_empty(id, "/delete"),
                };
                let status = answer.status();
                let fine = matches!(status, 200 | 400 | 404 | 409 | 410);
                assert!(fine, "{answer:?}");
                *seen.entry(status).or_default() += 1;
            }
            seen
        }
    }));
    for id in &ids {
        ors.post_empty(id, "/delete");
        assert_eq!(ors.post_empty(id, "/ping").status(), 404);
    }
    let mut all: BTreeMap<u16, usize> = BTreeMap::new();
    for (status, times) in seen.into_iter().flatten() {
        *all.entry(status).or_default() += times;
    }
    let cut_off = all.remove(&0).unwrap_or(0);
    let calls: usize = all.values().sum();
    assert!(cut_off * 20 < calls, "{cut_off} calls cut off, {all:?}");
    format!("{all:?}; {cut_off} calls cut off by a deletion")
}

/// Deletes a session in the middle of its call.
fn deleted_in_a_call(ors: &OrsClient) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 60_000}));
    stream.task_id();
    let waiting = BackgroundTask::spawn(move || stream.finish());
    assert_eq!(session.delete().status(), 200);
    let ended = waiting.join();
    assert!(
        ended.error().starts_with("limit_wall: "),
        "{:?}",
        ended.events
    );
    assert_eq!(session.ping().status(), 404);
    assert_ne!(session.delete().status(), 500);
    ended.error().to_owned()
}

#[test]
fn http() {
    raise_socket_limit();
    let sockets = quick_or_soak(200, 5000);
    // The usual slack, and a part of the 20 KiB that each socket takes while it is
    // open. All of it, for all five cases, would be 500 MiB.
    let kept = sockets as u64 * (24 << 10);
    let mut harness = AttackHarness::new("http", &[], &[], &FLAGS).with_slack((32 << 20) + kept);
    let key = harness.key().to_owned();
    let start = create_head(&key);
    let partial = format!("{start}X-Slow: ");
    let body = format!("{start}X-Session-ID: x\r\nContent-Length: 5000\r\n\r\n{{");
    for (attack, begin, drip, stops) in [
        (
            "that send a header, byte by byte",
            partial.as_str(),
            &b"x"[..],
            "header-timeout",
        ),
        (
            "that send a body, byte by byte",
            &body,
            b" ",
            "body-timeout",
        ),
        (
            "that send half a header and wait",
            &partial,
            b"",
            "header-timeout",
        ),
        ("that send half a body and wait", &body, b"", "body-timeout"),
        ("that send nothing", "", b"", "header-timeout or keep-alive"),
    ] {
        harness.case(&format!("{sockets} sockets {attack}"), stops, |ors| {
            slow(ors, sockets, begin, drip)
        });
    }
    harness.case("three clients that read nothing", "write-timeout", |ors| {
        stalled(ors, 3)
    });
    for (attack, bytes, statuses) in oversized_requests(&key) {
        harness.case(
            attack,
            "header-limit, body-limit or the head parser",
            |ors| {
                let status = send_raw(ors, &bytes);
                assert!(
                    status.is_none_or(|status| statuses.contains(&status)),
                    "{status:?}"
                );
                match status {
                    Some(status) => status.to_string(),
                    None => "closed without an answer".to_owned(),
                }
            },
        );
    }
    harness.case(
        "malformed and unusual bodies",
        "the body parser",
        odd_bodies,
    );
    harness.case("invalid session ids", "the head parser", odd_ids);
    let many = quick_or_soak(1000, 100_000);
    harness.case(
        &format!("{many} creations, none deleted"),
        "max-sessions: the share of a key",
        |ors| creations(ors, many),
    );
    let many = quick_or_soak(4000, 100_000);
    harness.case(
        &format!("{many} pings"),
        "nothing: they cost little",
        |ors| {
            let session = ors.open("alpha", TaskSelector::At("train", 0));
            let ping = HttpRequest::post("/ping").header(SESSION_HEADER, session.id());
            flood(ors, many, &ping)
        },
    );
    let many = quick_or_soak(1000, 20_000);
    harness.case(
        &format!("{many} listings of tasks"),
        "fair scheduling",
        |ors| {
            let list = HttpRequest::post("/alpha/tasks").json(&json!({"split": "train"}));
            flood(ors, many, &list)
        },
    );
    let many = quick_or_soak(100, 1000);
    harness.case(
        &format!("{many} clients that resume one run"),
        "one run, one result",
        |ors| reattached(ors, many),
    );
    let many = quick_or_soak(50, 5000);
    harness.case(
        &format!("{many} calls whose client disconnects"),
        "each runs once or not at all",
        |ors| disconnected(ors, many),
    );
    let steps = quick_or_soak(300, 30_000);
    harness.case(
        "eight clients with random requests for four sessions",
        "one actor per session",
        |ors| random_requests(ors, steps),
    );
    harness.case(
        "a session deleted in the middle of its call",
        "call-wall: the call continues after the deletion",
        deleted_in_a_call,
    );
    harness.end();
}
