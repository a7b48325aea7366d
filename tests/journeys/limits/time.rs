//! The limits of CPU time and wall-clock time.

use std::time::{Duration, Instant};

use orwd_tests::expect::error_detail;
use orwd_tests::ors::SessionClient;
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::{Value, json};

use super::support::{alone, faulted, open};
use crate::support::TIMEOUT;

pub(super) fn cpu_time_of_a_call() {
    let (server, session) = alone("hostile", &[("--call-cpu", "300ms")]);
    let call = session.call("act", json!({"how": "loop"}));
    faulted(&session, &call, "limit_cpu");
    // Each call has its own limit.
    let session = open(&server.ors(), "hostile", json!({}));
    for _ in 0..20 {
        assert_eq!(session.call("fine", json!({})).names(), ["task_id", "end"]);
    }

    // About a second on current machines.
    let burn = json!({"millions": 1000});
    let (_server, session) = alone("consumer", &[("--call-cpu", "100ms")]);
    faulted(&session, &session.call("burn", burn.clone()), "limit_cpu");
    let flags = [("--call-cpu", "1h"), ("--call-wall", "1h")];
    let (_server, session) = alone("consumer", &flags);
    assert_eq!(session.call("burn", burn).text(), "burnt 1000");
}

pub(super) fn wall_time_of_a_call() {
    let flags = [("--call-wall", "1s"), ("--call-cpu", "300ms")];
    let (server, session) = alone("alpha", &flags);
    let call = session.call("sleep", json!({"ms": 20_000}));
    faulted(&session, &call, "limit_wall");

    // Waiting does not use CPU time, and each call has its own limit.
    let session = open(&server.ors(), "alpha", json!({}));
    for _ in 0..4 {
        let slept = session.call("sleep", json!({"ms": 400}));
        assert!(slept.text().contains("start"));
    }

    let (_server, session) = alone("alpha", &[("--call-wall", "1h")]);
    let slept = session.call("sleep", json!({"ms": 1500}));
    assert!(slept.text().contains("start"));
}

/// Asserts that the setup failed with this code.
#[track_caller]
fn setup_failed(session: &SessionClient, code: &str) {
    let answer = session.get("prompt");
    assert!(matches!(answer.status(), 410 | 500), "{answer:?}");
    let message = error_detail(&answer, answer.status());
    assert!(message.starts_with(&format!("{code}: ")), "{message}");
    assert_eq!(session.delete().status(), 200);
}

pub(super) fn cpu_time_of_setup() {
    let server = ServeCommand::fixtures(&["hostile"])
        .set("--setup-cpu", "300ms")
        .start();
    let looping = json!({"where": "setup", "how": "loop"});
    setup_failed(&open(&server.ors(), "hostile", looping), "limit_cpu");
}

pub(super) fn wall_time_of_setup() {
    let server = ServeCommand::fixtures(&["slow"])
        .set("--setup-wall", "1s")
        .start();
    let ors = server.ors();
    setup_failed(
        &open(&ors, "slow", json!({"setup_ms": 30_000})),
        "limit_wall",
    );
    let session = open(&ors, "slow", json!({"setup_ms": 300}));
    assert_eq!(session.call("probe", json!({})).text(), "ready=true");

    let server = ServeCommand::fixtures(&["slow"])
        .set("--setup-wall", "1h")
        .start();
    let session = open(&server.ors(), "slow", json!({"setup_ms": 1500}));
    assert_eq!(session.call("probe", json!({})).text(), "ready=true");
}

/// Deletes a session whose teardown never ends, and waits for the fault in the
/// log.
fn teardown_is_stopped(server: &ServerProcess, spec: Value, code: &str) {
    let session = open(&server.ors(), "hostile", spec);
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
    let message = format!("teardown failed: {code}: ");
    let start = Instant::now();
    while !server.log().contains(&message) {
        assert!(
            start.elapsed() < TIMEOUT,
            "no {message:?} in\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn cpu_time_of_teardown() {
    let server = ServeCommand::fixtures(&["hostile"])
        .set("--teardown-cpu", "300ms")
        .set("--teardown-wall", "1h")
        .start();
    let looping = json!({"where": "teardown", "how": "loop"});
    teardown_is_stopped(&server, looping, "limit_cpu");
}

pub(super) fn wall_time_of_teardown() {
    let server = ServeCommand::fixtures(&["hostile"])
        .set("--teardown-wall", "1s")
        .start();
    let sleeping = json!({"where": "teardown", "how": "sleep_forever"});
    teardown_is_stopped(&server, sleeping, "limit_wall");
}
