//! CPU time is shared by owner, and waiting for it costs nobody a session.

use std::time::{Duration, Instant};

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{EventStream, SessionClient, TaskSelector};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::support::open;

/// Starts a call that computes until its limit.
fn spin(session: &SessionClient) -> EventStream {
    session.start("burn", json!({"millions": 1_000_000}))
}

#[test]
fn many_busy_sessions_of_one_key_leave_another_key_its_share() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let [alice, mallory] = ["alice", "mallory"].map(|name| {
        let made = OrwdCommand::new(["keys", "new", name, "--api-keys", &keys]).run();
        made.expect_success().trim_end().to_owned()
    });
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--api-keys", &keys)
        .set("--call-cpu", "4s")
        .set("--call-wall", "4s")
        .start();
    let [alice, mallory] = [alice, mallory].map(|key| server.ors().with_api_key(&key));
    let session = open(&alice, "consumer", json!({}));
    let burn = || {
        let start = Instant::now();
        let burnt = session.call("burn", json!({"millions": 400}));
        assert_eq!(burnt.text(), "burnt 400");
        start.elapsed()
    };
    let alone = burn();
    let busy: Vec<SessionClient> = (0..40)
        .map(|_| open(&mallory, "consumer", json!({})))
        .collect();
    let calls: Vec<EventStream> = busy.iter().map(spin).collect();
    let beside = burn();
    let limit = alone * 4 + Duration::from_secs(1);
    assert!(beside < limit, "{beside:?} beside others, {alone:?} alone");
    // New sessions of hers get their share, too.
    let start = Instant::now();
    let second = open(&alice, "consumer", json!({}));
    assert_eq!(
        second.call("burn", json!({"millions": 1})).text(),
        "burnt 1"
    );
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    drop(calls);
}

#[test]
fn waiting_for_a_cpu_is_no_wall_time_of_a_call() {
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--call-wall", "2s")
        .set("--call-cpu", "2s")
        .start();
    let ors = server.ors();
    let sessions: Vec<SessionClient> = (0..32)
        .map(|_| ors.open("consumer", TaskSelector::Spec(json!({}))))
        .collect();
    // Together far more than two seconds on any machine, and each less.
    let burnt = run_concurrently(sessions.iter().map(|session| {
        let session = ors.session("consumer", session.id());
        move || {
            let burnt = session.call("burn", json!({"millions": 300})).text();
            session.leave_open();
            burnt
        }
    }));
    assert!(burnt.iter().all(|text| text == "burnt 300"), "{burnt:?}");
}
