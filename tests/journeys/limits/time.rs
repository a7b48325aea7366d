//! The limits on time.

use std::time::{Duration, Instant};

use orwd_tests::expect::detail;
use orwd_tests::ors::Session;
use orwd_tests::server::{Serve, Server};
use serde_json::{Value, json};

use super::{alone, faulted, open};
use crate::SOON;

pub(super) fn cpu_time_of_a_call() {
    let (server, session) = alone("hostile", &[("--call-cpu", "300ms")]);
    let call = session.call("act", json!({"how": "loop"}));
    faulted(&session, &call, "limit_cpu");
    // Each call has its own time.
    let session = open(&server.ors(), "hostile", json!({}));
    for _ in 0..20 {
        assert_eq!(session.call("fine", json!({})).names(), ["task_id", "end"]);
    }

    // A second or so on any machine of these years.
    let burn = json!({"millions": 1000});
    let (_server, session) = alone("greedy", &[("--call-cpu", "100ms")]);
    faulted(&session, &session.call("burn", burn.clone()), "limit_cpu");
    let flags = [("--call-cpu", "1h"), ("--call-wall", "1h")];
    let (_server, session) = alone("greedy", &flags);
    assert_eq!(session.call("burn", burn).text(), "burnt 1000");
}

pub(super) fn wall_time_of_a_call() {
    let flags = [("--call-wall", "1s"), ("--call-cpu", "300ms")];
    let (server, session) = alone("alpha", &flags);
    let call = session.call("sleep", json!({"ms": 20_000}));
    faulted(&session, &call, "limit_wall");

    // To wait is not to compute, and each call has its own time.
    let session = open(&server.ors(), "alpha", json!({}));
    for _ in 0..4 {
        let slept = session.call("sleep", json!({"ms": 400}));
        assert!(slept.text().contains("start"));
    }

    let (_server, session) = alone("alpha", &[("--call-wall", "1h")]);
    let slept = session.call("sleep", json!({"ms": 1500}));
    assert!(slept.text().contains("start"));
}

/// The setup failed for this reason.
#[track_caller]
fn not_set_up(session: &Session, code: &str) {
    let answer = session.get("prompt");
    assert!(matches!(answer.status(), 410 | 500), "{answer:?}");
    let told = detail(&answer, answer.status());
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    assert_eq!(session.delete().status(), 200);
}

pub(super) fn cpu_time_of_setup() {
    let server = Serve::fixtures(&["hostile"])
        .set("--setup-cpu", "300ms")
        .start();
    let looping = json!({"where": "setup", "how": "loop"});
    not_set_up(&open(&server.ors(), "hostile", looping), "limit_cpu");
}

pub(super) fn wall_time_of_setup() {
    let server = Serve::fixtures(&["slow"]).set("--setup-wall", "1s").start();
    let ors = server.ors();
    not_set_up(
        &open(&ors, "slow", json!({"setup_ms": 30_000})),
        "limit_wall",
    );
    let session = open(&ors, "slow", json!({"setup_ms": 300}));
    assert_eq!(session.call("probe", json!({})).text(), "ready=true");

    let server = Serve::fixtures(&["slow"]).set("--setup-wall", "1h").start();
    let session = open(&server.ors(), "slow", json!({"setup_ms": 1500}));
    assert_eq!(session.call("probe", json!({})).text(), "ready=true");
}

/// Ends a session whose teardown would never end; the log says why it did.
fn torn_off(server: &Server, spec: Value, code: &str) {
    let session = open(&server.ors(), "hostile", spec);
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
    let told = format!("teardown failed: {code}: ");
    let start = Instant::now();
    while !server.log().contains(&told) {
        assert!(start.elapsed() < SOON, "no {told:?} in\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn cpu_time_of_teardown() {
    let server = Serve::fixtures(&["hostile"])
        .set("--teardown-cpu", "300ms")
        .set("--teardown-wall", "1h")
        .start();
    let looping = json!({"where": "teardown", "how": "loop"});
    torn_off(&server, looping, "limit_cpu");
}

pub(super) fn wall_time_of_teardown() {
    let server = Serve::fixtures(&["hostile"])
        .set("--teardown-wall", "1s")
        .start();
    let sleeping = json!({"where": "teardown", "how": "sleep_forever"});
    torn_off(&server, sleeping, "limit_wall");
}
