//! What the sessions of a key leave on the disk, and what is shared there.

use std::path::Path;

use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, fresh_id, secrets_header};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::restartable_server::{RestartableServer, bump, until};
use crate::support::{environment_dir, serve};

/// Bytes of a large result.
const LARGE: usize = 400_000;

fn open(ors: &OrsClient) -> SessionClient {
    ors.open("alpha", TaskSelector::At("train", 0))
}

/// Calls for a large result; returns the status.
fn large(session: &SessionClient, bytes: usize) -> u16 {
    let input = json!({"name": "big", "input": {"unit": "x", "count": bytes}});
    session.post("call", &input).status()
}

/// Bytes of the files in a folder.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn a_key_at_its_disk_quota_loses_its_ended_sessions_and_is_then_refused() {
    let scratch = TestDir::new();
    let file = scratch.at("keys.toml");
    let [alice, mallory] = ["alice", "mallory"].map(|name| {
        let made = OrwdCommand::new(["keys", "new", name, "--api-keys", &file]).run();
        made.expect_success().trim_end().to_owned()
    });
    let mut host = RestartableServer::new(&scratch)
        .set("--api-keys", &file)
        .set("--max-disk-per-key", "2MiB")
        .set("--disk-reserve", "0");
    let mut server = host.alpha();
    let alice = server.ors().with_api_key(&alice);
    let mallory = server.ors().with_api_key(&mallory);
    let patient = open(&alice);
    assert_eq!(bump(&patient, 1), "1");
    let ended = open(&mallory);
    assert_eq!(large(&ended, LARGE), 200);
    assert_eq!(ended.delete().status(), 200);
    let receipt = |ors: &OrsClient, session: &SessionClient| {
        let path = format!("/orwd/sessions/{}/receipt", session.id());
        ors.get(&path).status()
    };
    assert_eq!(receipt(&mallory, &ended), 200);
    let live = open(&mallory);
    let calls = (0..50).find(|_| large(&live, LARGE) == 403);
    assert!((3..8).contains(&calls.expect("the quota")), "{calls:?}");
    assert_eq!(receipt(&mallory, &ended), 404, "it was removed first");
    // The reason is clear, whatever the client asks for.
    let refused = live.post("call", &json!({"name": "noargs", "input": {}}));
    let reason = error_detail(&refused, 403);
    assert!(reason.starts_with("disk quota exceeded"), "{reason}");
    let body = TaskSelector::At("train", 0).body("alpha");
    error_detail(&mallory.create(&fresh_id(), &body), 403);
    let fork = format!("/orwd/sessions/{}/fork", live.id());
    error_detail(&mallory.post(&fork, &json!({})), 403);
    // Others are not affected, and a restart changes nothing.
    assert_eq!(bump(&patient, 1), "2");
    server.kill();
    let _server = host.alpha();
    assert_eq!(large(&live, 1), 403);
    assert_eq!(bump(&patient, 1), "3");
    assert_eq!(large(&patient, LARGE), 200);
    // What the key ends makes room.
    assert_eq!(live.delete().status(), 200);
    let next = open(&mallory);
    assert_eq!(large(&next, LARGE), 200);
}

#[test]
fn forks_share_the_past_of_their_parent() {
    forks_share_their_past(&[]);
}

#[test]
fn forks_share_the_sealed_past_of_a_parent_with_secrets() {
    let secrets = secrets_header(&json!({"TOKEN": {"value": "hunter2-hunter2"}}));
    forks_share_their_past(&[("X-Secrets", secrets.as_str())]);
}

/// Forks a session that was created with these headers, and its forks.
fn forks_share_their_past(headers: &[(&str, &str)]) {
    let scratch = TestDir::new();
    let key = scratch.write("key", "5a".repeat(32));
    let alpha = environment_dir(&scratch, "alpha", "alpha", "secrets = [\"TOKEN\"]", "");
    let mut host = RestartableServer::new(&scratch)
        .set("--retention", "1s")
        .set("--seal-key", key.to_str().unwrap());
    let mut server = host.start(serve(&alpha));
    let ors = server.ors();
    let parent = ors.open_with("alpha", TaskSelector::At("train", 0), headers);
    for _ in 0..10 {
        assert_eq!(large(&parent, LARGE), 200);
        bump(&parent, 1);
    }
    let before = size(&scratch.path().join("state"));
    let fork = |session: &str, count: usize| -> Vec<SessionClient> {
        let path = format!("/orwd/sessions/{session}/fork");
        let forked = ors.post(&path, &json!({"count": count})).json();
        let ids = forked["sessions"].as_array().expect("a list").iter();
        ids.map(|id| ors.session("alpha", id.as_str().unwrap()))
            .collect()
    };
    let children = fork(parent.id(), 12);
    let grown = size(&scratch.path().join("state")) - before;
    assert!(
        grown < 12 << 20,
        "{grown} bytes for {} forks",
        children.len()
    );
    assert_eq!(bump(&children[0], 1), "11");
    let grandchildren = fork(children[0].id(), 2);
    // The past outlives those that it is from.
    assert_eq!(parent.delete().status(), 200);
    assert_eq!(children[0].delete().status(), 200);
    let receipt = |session: &SessionClient| {
        let path = format!("/orwd/sessions/{}/receipt", session.id());
        ors.get(&path).status()
    };
    until(|| receipt(&parent) == 404 && receipt(&children[0]) == 404);
    server.kill();
    let server = host.start(serve(&alpha));
    assert_eq!(bump(&children[1], 5), "15", "{}", server.log());
    assert_eq!(bump(&grandchildren[0], 5), "16", "{}", server.log());
    // A fork is exported with its whole past.
    let state = scratch.at("state");
    let file = scratch.at("fork.episode");
    let id = grandchildren[0].id();
    OrwdCommand::new(["export", id, "--state", &state, "-o", &file])
        .run()
        .expect_success();
    let signed = ors.get(&format!("/orwd/sessions/{id}/receipt"));
    let signed = scratch.write("receipt.json", signed.text());
    let [signed, key] = [&signed, &key].map(|path| path.to_str().unwrap());
    OrwdCommand::new(["verify", signed, "--journal", &file, "--seal-key", key])
        .run()
        .expect_success();
}

#[test]
fn forks_are_counted_as_creations() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--create-rate", "1")
        .start();
    let ors = server.ors();
    let parent = open(&ors);
    let path = format!("/orwd/sessions/{}/fork", parent.id());
    let fork = |count: u32| ors.post(&path, &json!({"at": 0, "count": count}));
    let reason = error_detail(&fork(40), 400);
    assert!(reason.contains("between 1 and 10"), "{reason}");
    assert_eq!(fork(8).status(), 200);
    let refused = fork(8);
    error_detail(&refused, 429);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
}

#[test]
fn files_that_sessions_write_count_for_the_quota_of_their_key() {
    let server = ServeCommand::fixtures(&["files"])
        .set("--max-disk-per-key", "8MiB")
        .set("--disk-reserve", "0")
        .start();
    let ors = server.ors();
    let [first, second] = [0, 1].map(|_| ors.open("files", TaskSelector::Spec(json!({}))));
    let body = json!({
        "name": "fill",
        "input": {"path": "/tmp/big", "piece": 1 << 20, "count": 6}
    });
    let fill = |session: &SessionClient| {
        let answer = ors.try_post_as(session.id(), "/files/call", &body);
        answer.map_or_else(|_| String::new(), |answer| answer.text().to_owned())
    };
    assert!(fill(&first).contains("event: end"));
    let said = fill(&second);
    assert!(!said.contains("event: end"), "{said}");
    // No limit of the session is to blame, and it goes on.
    assert!(!said.contains("limit_") && !said.contains("env_"), "{said}");
    server.wait_for_log("the disk quota of its owner is reached");
    assert_eq!(first.delete().status(), 200);
    until(|| fill(&second).contains("event: end"));
}
