//! CPU time is shared by owner, and waiting for it costs nobody a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use orwd_tests::background::{BackgroundTask, run_concurrently, wait_until};
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{EventStream, OrsClient, SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::support::open;
use crate::support::TIMEOUT;

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

#[test]
fn the_sessions_of_one_key_leave_places_for_another() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let [alice, mallory] = ["alice", "mallory"].map(|name| {
        let made = OrwdCommand::new(["keys", "new", name, "--api-keys", &keys]).run();
        made.expect_success().trim_end().to_owned()
    });
    for flags in [
        [("--max-sessions", "10"), ("--hibernate-after", "never")],
        [("--max-sessions", "4"), ("--max-open-sessions", "10")],
    ] {
        let mut server = ServeCommand::fixtures(&["consumer"]).set("--api-keys", &keys);
        for (flag, value) in flags {
            server = server.set(flag, value);
        }
        let server = server.start();
        let [alice, mallory] = [&alice, &mallory].map(|key| server.ors().with_api_key(key));
        let body = TaskSelector::Spec(json!({})).body("consumer");
        let created = |ors: &OrsClient| ors.create(&fresh_id(), &body);
        let taken = (0..10).take_while(|_| created(&mallory).status() == 200);
        assert_eq!(taken.count(), 8, "{flags:?}");
        let refused = created(&mallory);
        error_detail(&refused, 503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert_eq!(created(&alice).status(), 200, "{flags:?}");
    }
}

#[test]
fn queries_about_tasks_of_many_owners_take_turns() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let [alice, mallory] = ["alice", "mallory"].map(|name| {
        let made = OrwdCommand::new(["keys", "new", name, "--api-keys", &keys]).run();
        made.expect_success().trim_end().to_owned()
    });
    let server = ServeCommand::fixtures(&["catalog-faults"])
        .set("--api-keys", &keys)
        .start();
    let [alice, mallory] = [alice, mallory].map(|key| server.ors().with_api_key(&key));
    let query = |ors: &OrsClient| {
        let body = json!({"split": "busy", "index": 0});
        assert_eq!(ors.post("/catalog-faults/task", &body).status(), 200);
    };
    query(&alice);
    const MANY: usize = 120;
    let answered = Arc::new(AtomicUsize::new(0));
    let flood: Vec<BackgroundTask<()>> = (0..MANY)
        .map(|_| {
            let (mallory, answered) = (mallory.clone(), answered.clone());
            BackgroundTask::spawn(move || {
                query(&mallory);
                answered.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = answered.load(Ordering::Relaxed);
    query(&alice);
    let meanwhile = answered.load(Ordering::Relaxed) - before;
    assert!(meanwhile < MANY / 4, "{meanwhile} of {MANY} were first");
    flood.into_iter().for_each(BackgroundTask::join);
}

#[test]
fn a_call_behind_many_busy_sessions_of_its_own_key_gets_a_503() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let made = OrwdCommand::new(["keys", "new", "alice", "--api-keys", &keys]).run();
    let key = made.expect_success().trim_end().to_owned();
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--api-keys", &keys)
        .set("--cpu-queue", "1")
        .set("--setup-wait", "1s")
        .set("--call-cpu", "3s")
        .start();
    let ors = server.ors().with_api_key(&key);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let session = open(&ors, "consumer", json!({}));
    // For each CPU one that runs and one that waits. The last of them is admitted.
    let busy: Vec<SessionClient> = (0..2 * cpus)
        .map(|_| open(&ors, "consumer", json!({})))
        .collect();
    let mut calls: Vec<EventStream> = busy.iter().map(spin).collect();
    calls
        .iter_mut()
        .for_each(|call| drop(call.task_id().to_owned()));
    let burn = json!({"name": "burn", "input": {"millions": 1}});
    // While a guest gives up its turn, the queue is shorter for a moment, and a
    // call may be admitted.
    let mut answers = (0..100).map(|_| session.post("call", &burn));
    let refused = answers.find(|answer| answer.status() != 200);
    let refused = refused.expect("a call is refused while all others spin");
    let reason = error_detail(&refused, 503);
    assert!(reason.contains("--cpu-queue"), "{reason}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    // The session goes on when the others have had enough.
    wait_until("the CPUs are free", 4 * TIMEOUT, || {
        session.post("call", &burn).status() == 200
    });
    drop(calls);
}
