//! Sessions that wait cost nothing.

use std::fs;
use std::thread;
use std::time::Duration;

use orwd_tests::background::wait_until;
use orwd_tests::http::HttpConnection;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::json;

use crate::support::TIMEOUT;

/// How long a server is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// The CPU time that a server with sessions that wait may take meanwhile.
const MOST: Duration = Duration::from_millis(150);

/// Returns the CPU time of a process.
fn cpu_time(server: &ServerProcess) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.map(|field| field.parse::<u64>().expect("a number"));
    // A hundred a second on Linux.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Asserts that the server computes next to nothing for a time.
#[track_caller]
fn assert_idle(server: &ServerProcess) {
    let before = cpu_time(server);
    thread::sleep(WATCHED);
    let used = cpu_time(server) - before;
    assert!(used < MOST, "{used:?} of CPU time in {WATCHED:?}");
}

/// Sends a call without reading more of its response than the head.
fn send(session: &SessionClient, body: &serde_json::Value) -> HttpConnection {
    let mut connection = session.ors().client().connect();
    let request = session.post_request("call", body);
    connection.send(&request).expect("a request can be sent");
    connection
}

#[test]
fn sessions_that_wait_for_a_place_in_memory_use_no_cpu() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--max-sessions", "4")
        .set("--setup-wait", "20s")
        .start();
    let ors = server.ors();
    let asleep: Vec<SessionClient> = (0..40)
        .map(|_| ors.open("alpha", TaskSelector::At("train", 0)))
        .collect();
    let (busy, waiting) = asleep.split_at(4);
    let sleep = json!({"name": "sleep", "input": {"ms": 4000}});
    let mut connections: Vec<HttpConnection> =
        busy.iter().map(|session| send(session, &sleep)).collect();
    for connection in &mut connections {
        assert_eq!(connection.read_head().expect("a head").status, 200);
    }
    thread::sleep(Duration::from_millis(300));
    let echo = json!({"name": "echo", "input": {"text": "here"}});
    let mut calls: Vec<HttpConnection> =
        waiting.iter().map(|session| send(session, &echo)).collect();
    thread::sleep(Duration::from_millis(300));
    assert_idle(&server);
    for call in &mut calls {
        let answer = call.read_response().expect("a response");
        assert_eq!(answer.status(), 200);
        assert!(answer.text().contains("here"), "{}", answer.text());
    }
}

#[test]
fn sessions_that_wait_for_room_for_their_results_use_no_cpu() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--result-memory", "16MiB")
        .set("--result-limit", "4MiB")
        .set("--write-timeout", "6s")
        .start();
    let ors = server.ors();
    let sessions: Vec<SessionClient> = (0..12)
        .map(|_| ors.open("alpha", TaskSelector::At("train", 0)))
        .collect();
    let big = json!({"name": "big", "input": {"unit": "0123456789abcdef", "count": 192 << 10}});
    let unread: Vec<HttpConnection> = sessions.iter().map(|session| send(session, &big)).collect();
    thread::sleep(Duration::from_secs(1));
    assert_idle(&server);
    // What was read by nobody makes room as its connections go.
    drop(unread);
    let echo = json!({"name": "echo", "input": {"text": "here"}});
    for session in &sessions {
        wait_until("there is room", TIMEOUT, || {
            session.post("call", &echo).status() == 200
        });
    }
}
