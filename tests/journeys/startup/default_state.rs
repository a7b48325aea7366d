//! Where a server keeps its state if the operator does not say.

use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{ServerProcess, unused_address};
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{TIMEOUT, environment_dir, serve};

/// Opens a session of `alpha`, which outlives its client, and returns its id.
fn open(server: &ServerProcess) -> String {
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    assert_eq!(session.call("bump", json!({"by": 1})).text(), "1");
    let id = session.id().to_owned();
    session.leave_open();
    id
}

/// Continues a session, which returns how often it was called.
fn bump(server: &ServerProcess, id: &str) -> String {
    let session = server.ors().session("alpha", id);
    session.call("bump", json!({"by": 1})).text()
}

fn stop(mut server: ServerProcess) {
    server.signal(Signal::TERM);
    server.wait(TIMEOUT);
}

#[test]
fn sessions_are_found_again_at_another_address() {
    let scratch = TestDir::new();
    let home = scratch.path().join("home");
    let alpha = environment_dir(&scratch, "alpha", "alpha", "", "");
    let server = serve(&alpha).user(&home).start_at(&unused_address());
    let id = open(&server);
    stop(server);
    let server = serve(&alpha).user(&home).start_at(&unused_address());
    assert_eq!(bump(&server, &id), "2");
}

#[test]
fn servers_that_run_at_the_same_time_have_a_state_each() {
    let scratch = TestDir::new();
    let home = scratch.path().join("home");
    let alpha = environment_dir(&scratch, "alpha", "alpha", "", "");
    let one = serve(&alpha).user(&home).start();
    let two = serve(&alpha).user(&home).start();
    let (first, second) = (open(&one), open(&two));
    assert_eq!(bump(&one, &first), "2");
    assert_eq!(bump(&two, &second), "2");
    let foreign = one.ors().session("alpha", &second).ping();
    assert_eq!(foreign.status(), 404);
}

#[test]
fn sessions_that_are_elsewhere_are_named_at_the_start() {
    let scratch = TestDir::new();
    let home = scratch.path().join("home");
    let alpha = environment_dir(&scratch, "alpha", "alpha", "", "");
    let chat = environment_dir(&scratch, "chat", "chat", "", "");
    let server = serve(&alpha).user(&home).start();
    let id = open(&server);
    stop(server);
    // More is served now, so it has a state of its own.
    let server = serve(&alpha).and_path(chat).user(&home).start();
    server.wait_for_log("another state directory has open sessions");
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("another state directory"));
    let line = line.unwrap();
    assert!(line.contains("sessions=1"), "{line}");
    let state = line.split("state=").nth(1).unwrap();
    let state = state.split_whitespace().next().unwrap();
    assert!(state.contains("alpha-"), "{line}");
    stop(server);
    let server = serve(&alpha).set("--state", state).start();
    assert_eq!(bump(&server, &id), "2");
}
