//! Attacks by clients: sockets that are slow, requests that are huge or none,
//! floods of small ones, and everything at once on the same sessions.
//!
//! What makes two requests of one, and what keys see of each other, have
//! journeys of their own (`smuggling::`, `door::`).

use crate::arena::{Arena, PLACES};
use crate::quick_or_soak;
use crate::requests::{bodies, huge, ids, raw};
use orwd_tests::expect::detail;
use orwd_tests::http::{Connection, Request};
use orwd_tests::later::{Later, all_at_once};
use orwd_tests::ors::{Ors, SESSION_HEADER, Session, Task, fresh_id};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

const FLAGS: [&str; 16] = [
    // What it stops is shown in `journeys`; here all is to get through to the
    // limits behind it.
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

/// Longer than the server waits for any socket here.
pub const CUT: Duration = Duration::from_secs(30);

/// The start of a request for a session, of whoever has this key.
pub fn head_of(key: &str) -> String {
    format!(
        "POST /create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-API-Key: {key}\r\n"
    )
}

/// Lets this process have as many sockets as it may.
fn many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).expect("a limit can be raised as far as it goes");
}

/// Opens so many sockets that each send this, and one byte more again and
/// again; says how long the last of them was kept.
fn slow(ors: &Ors, count: usize, begin: &str, drip: &[u8]) -> String {
    let start = Instant::now();
    let mut open: Vec<Connection> = (0..count)
        .map(|_| {
            let mut connection = ors.client().connect();
            let _ = connection.send_raw(begin.as_bytes());
            connection
                .set_patience(Duration::from_millis(1))
                .expect("a socket");
            connection
        })
        .collect();
    while !open.is_empty() {
        assert!(start.elapsed() < CUT, "{} are still open", open.len());
        open.retain_mut(|connection| {
            if !drip.is_empty() && connection.send_raw(drip).is_err() {
                return false;
            }
            // Closed, or told why it will be.
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

/// Sessions that ask for eight mebibytes each and take none of it; says what
/// became of the results.
fn stalled(ors: &Ors, count: usize) -> String {
    let unit = "0123456789abcdef";
    let body = json!({"name": "big", "input": {"unit": unit, "count": 512 << 10}});
    let readers: Vec<(Session, Connection, String)> = (0..count)
        .map(|_| {
            let session = ors.open("alpha", Task::At("train", 0));
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

/// Creates sessions as fast as it can and deletes none until the end.
fn creations(ors: &Ors, count: usize) -> String {
    let task = Task::At("train", 0).body("alpha");
    let mut held: Vec<Session> = Vec::new();
    let mut told = String::new();
    for _ in 0..count {
        let id = fresh_id();
        let answer = ors.create(&id, &task);
        if answer.status() == 200 {
            held.push(ors.session("alpha", &id));
        } else {
            told = detail(&answer, 503);
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
    }
    assert_eq!(held.len(), PLACES - 1, "{told}");
    format!("503 {told}, after {} sessions", held.len())
}

/// The same request again and again, on a few connections.
fn flood(ors: &Ors, count: usize, request: &Request) -> String {
    let lanes = 4;
    let begin = Instant::now();
    all_at_once((0..lanes).map(|_| {
        let (ors, request) = (ors.clone(), request.clone());
        move || {
            let mut connection = ors.client().connect();
            for _ in 0..count / lanes {
                let answer = connection.ask(&request).expect("an answer");
                assert_eq!(answer.status(), 200, "{answer:?}");
            }
        }
    }));
    let each = begin.elapsed().as_secs_f64() * 1e6 / count as f64;
    format!("{count} answers, {each:.0} µs each")
}

/// Many clients that ask for one run: it runs once, and all get its result.
fn reattached(ors: &Ors, count: usize) -> String {
    let session = ors.open("alpha", Task::At("train", 0));
    assert_eq!(session.call("bump", json!({})).text(), "1");
    let mut stream = session.start("sleep", json!({"ms": 1500, "tag": "once"}));
    let run = stream.task_id();
    drop(stream);
    let id = session.id().to_owned();
    let texts = all_at_once((0..count).map(|_| {
        let (ors, id, run) = (ors.clone(), id.clone(), run.clone());
        move || {
            let session = ors.session("alpha", &id);
            let text = session.resume(&run).text();
            session.forget();
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

/// Begins calls and hangs up at random moments: each call is made once or not
/// at all, in order.
fn disconnected(ors: &Ors, times: u64) -> String {
    let session = ors.open("alpha", Task::At("train", 0));
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

/// Eight clients that create, call, ask, ping and delete the same few sessions
/// in any order: nothing but the answers that there are for it.
fn storm(ors: &Ors, steps: u64) -> String {
    let ids: Vec<String> = (0..4).map(|_| fresh_id()).collect();
    let seen = all_at_once((0..8).map(|lane| {
        let (ors, ids) = (ors.clone(), ids.clone());
        move || {
            let mut random = StdRng::seed_from_u64(lane);
            let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
            for _ in 0..steps {
                let id = &ids[random.random_range(0..ids.len())];
                let call = json!({"name": "noargs", "input": {}});
                let answer = match random.random_range(0..6) {
                    0 | 1 => ors.create(id, &Task::At("train", 0).body("alpha")),
                    2 => match ors.try_post_as(id, "/alpha/call", &call) {
                        Ok(answer) => answer,
                        // Deleted between the call's first byte and its turn:
                        // the client is to ask again, and learns that.
                        Err(_) => {
                            *seen.entry(0).or_default() += 1;
                            continue;
                        }
                    },
                    3 => ors.touch(id, "/ping"),
                    4 => ors.ask(&Request::get("/alpha/prompt").header(SESSION_HEADER, id)),
                    _ => ors.touch(id, "/delete"),
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
        ors.touch(id, "/delete");
        assert_eq!(ors.touch(id, "/ping").status(), 404);
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
fn deleted_in_a_call(ors: &Ors) -> String {
    let session = ors.open("alpha", Task::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 60_000}));
    stream.task_id();
    let waiting = Later::run(move || stream.finish());
    assert_eq!(session.delete().status(), 200);
    let ended = waiting.get();
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
fn front() {
    many_sockets();
    let sockets = quick_or_soak(200, 5000);
    // Beside what there is anyway, some of the 20 KiB that each of them takes
    // while it is open. All of it, for all five families of sockets, would be
    // 500 MiB.
    let kept = sockets as u64 * (24 << 10);
    let mut arena = Arena::new("front", &[], &[], &FLAGS).with_slack((32 << 20) + kept);
    let key = arena.key().to_owned();
    let start = head_of(&key);
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
        arena.case(&format!("{sockets} sockets {attack}"), stops, |ors| {
            slow(ors, sockets, begin, drip)
        });
    }
    arena.case("three readers that read nothing", "write-timeout", |ors| {
        stalled(ors, 3)
    });
    for (attack, bytes, statuses) in huge(&key) {
        arena.case(
            attack,
            "header-limit, body-limit or the reader of heads",
            |ors| {
                let status = raw(ors, &bytes);
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
    arena.case(
        "bodies that are no JSON, or odd",
        "the reader of bodies",
        bodies,
    );
    arena.case("session ids that are none", "the reader of heads", ids);
    let many = quick_or_soak(1000, 100_000);
    arena.case(
        &format!("{many} creations, none deleted"),
        "max-sessions",
        |ors| creations(ors, many),
    );
    let many = quick_or_soak(4000, 100_000);
    arena.case(
        &format!("{many} pings"),
        "nothing: they cost little",
        |ors| {
            let session = ors.open("alpha", Task::At("train", 0));
            let ping = Request::post("/ping").header(SESSION_HEADER, session.id());
            flood(ors, many, &ping)
        },
    );
    let many = quick_or_soak(1000, 20_000);
    arena.case(&format!("{many} listings of tasks"), "fair turns", |ors| {
        let list = Request::post("/alpha/tasks").json(&json!({"split": "train"}));
        flood(ors, many, &list)
    });
    let many = quick_or_soak(100, 1000);
    arena.case(
        &format!("{many} clients that fetch one run"),
        "one run, one result",
        |ors| reattached(ors, many),
    );
    let many = quick_or_soak(50, 5000);
    arena.case(
        &format!("{many} calls whose client hangs up"),
        "each runs once or not at all",
        |ors| disconnected(ors, many),
    );
    let steps = quick_or_soak(300, 30_000);
    arena.case(
        "eight clients on four sessions, at random",
        "one owner for each session",
        |ors| storm(ors, steps),
    );
    arena.case(
        "a session deleted in the middle of its call",
        "call-wall: it goes on as if it had not been deleted",
        deleted_in_a_call,
    );
    arena.end();
}
