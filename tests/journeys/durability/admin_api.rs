//! Routes and commands outside the ORS protocol: sessions with their steps,
//! forks, receipts, export and replay.

use std::time::Duration;

use orwd_tests::artifacts::component;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use super::restartable_server::{RestartableServer, bump, until};

#[test]
fn a_session_can_be_forked_at_any_step() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let parent = ors.open("alpha", TaskSelector::At("train", 0));
    for by in [1, 10, 100] {
        bump(&parent, by);
    }
    parent.get("prompt");
    let fork = |body: &Value| {
        let path = format!("/orwd/sessions/{}/fork", parent.id());
        ors.post(&path, body)
    };
    for (at, past) in [(Some(0), 0), (Some(2), 11), (Some(3), 111), (None, 111)] {
        let forked = fork(&json!({"at": at, "count": 3})).json();
        let children: Vec<SessionClient> = forked["sessions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|id| ors.session("alpha", id.as_str().unwrap()))
            .collect();
        assert_eq!(children.len(), 3);
        for (n, child) in children.iter().enumerate() {
            let n = n as i64;
            assert_eq!(bump(child, n), (past + n).to_string(), "{at:?}");
        }
        // The children are independent.
        for (n, child) in children.iter().enumerate() {
            assert_eq!(bump(child, 0), (past + n as i64).to_string());
        }
    }
    assert_eq!(bump(&parent, 0), "111");
    for (body, status) in [
        (json!({"at": 9}), 400),
        (json!({"count": 0}), 400),
        (json!({"count": 1000}), 400),
        (json!({"from": 1}), 422),
    ] {
        error_detail(&fork(&body), status);
    }
    error_detail(&ors.post("/orwd/sessions/nosuch/fork", &json!({})), 404);
}

#[test]
fn sessions_are_shown_with_their_steps() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let call = session.call("finish", json!({"reward": 0.5}));
    let list = |ors: &OrsClient| ors.get("/orwd/sessions").json()["sessions"].clone();
    let show = |ors: &OrsClient| ors.get(&format!("/orwd/sessions/{}", session.id())).json();
    let shown = show(&ors);
    assert_eq!(list(&ors)[0]["session"], session.id());
    assert_eq!(list(&ors)[0]["state"], "ready");
    let kinds: Vec<&str> = shown["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| step["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["setup", "call"]);
    let step = &shown["steps"][1];
    assert_eq!(step["step"], 1);
    assert_eq!(step["tool"], "finish");
    assert_eq!(step["task_id"], call.task_id());
    assert_eq!(step["outcome"], "output");
    assert_eq!(step["reward"], 0.5);
    assert_eq!(step["finished"], true);
    server.kill();

    let server = host.alpha();
    assert_eq!(list(&ors)[0]["state"], "asleep");
    assert_eq!(show(&ors)["steps"], shown["steps"]);
    assert_eq!(session.delete().status(), 200);
    assert_eq!(list(&ors), json!([]));
    assert_eq!(show(&ors)["state"], "deleted", "{}", server.log());
    error_detail(&ors.get("/orwd/sessions/nosuch"), 404);
}

#[test]
fn an_ended_session_is_purged_after_the_retention_and_its_forks_stay() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch).set("--retention", "1s");
    let mut server = host.alpha();
    let ors = server.ors();
    let parent = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(bump(&parent, 5), "5");
    let forked = ors.post(&format!("/orwd/sessions/{}/fork", parent.id()), &json!({}));
    let child = forked.json()["sessions"][0].as_str().unwrap().to_owned();
    let child = ors.session("alpha", &child);
    let receipt = |session: &SessionClient| {
        let path = format!("/orwd/sessions/{}/receipt", session.id());
        ors.get(&path).status()
    };
    assert_eq!(parent.delete().status(), 200);
    until(|| receipt(&parent) == 404);
    assert_eq!(receipt(&child), 200);
    server.kill();
    let server = host.alpha();
    assert_eq!(bump(&child, 1), "6", "{}", server.log());
    assert_eq!(receipt(&parent), 404);
}

#[test]
fn a_receipt_is_signed_by_the_hosts_key() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let state = scratch.at("state");
    let signers: Vec<Value> = (0..2)
        .map(|_| {
            let server = host.alpha();
            let session = server.ors().open("alpha", TaskSelector::At("train", 0));
            bump(&session, 1);
            let path = format!("/orwd/sessions/{}/receipt", session.id());
            let receipt = server.ors().get(&path).json();
            receipt["key"].clone()
        })
        .collect();
    let known = OrwdCommand::new(["keys", "host", "--state", &state]).run();
    let known = known.expect_success().trim().to_owned();
    assert_eq!(signers, [json!(known), json!(known)]);
}

#[test]
fn a_journal_is_exported_replayed_and_verified() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    bump(&session, 3);
    session.call("finish", json!({"reward": 0.25}));
    let state = scratch.at("state");
    let cache = orwd_tests::artifacts::target_dir().join("orwd-cache");
    let cache = cache.to_str().unwrap();
    let replay = |which: &str, more: &[&str]| {
        let mut arguments = vec!["replay", which, "--cache", cache];
        arguments.extend(more);
        OrwdCommand::new(arguments)
            .timeout(Duration::from_secs(120))
            .run()
    };
    // The server is running meanwhile.
    let same = replay(session.id(), &["--state", &state]);
    assert!(
        same.expect_success().contains("3 steps, 0 different"),
        "{same}"
    );

    let file = scratch.at("one.episode");
    let export = OrwdCommand::new([
        "export",
        session.id(),
        "--state",
        &state,
        "-o",
        &file,
        "--component",
    ]);
    export.run().expect_success();
    assert!(replay(&file, &[]).expect_success().contains("0 different"));

    let other = component("chat").to_str().unwrap();
    let differs = replay(&file, &["--against", other, "--json"]);
    assert_eq!(differs.code, Some(4), "{differs}");
    let lines: Vec<Value> = differs
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[2]["verdict"], "different");
    assert_eq!(lines[2]["reward"], 0.25);
    assert_eq!(lines[2]["reward_now"], Value::Null);

    let receipt = server
        .ors()
        .get(&format!("/orwd/sessions/{}/receipt", session.id()));
    let receipt = scratch.write("receipt.json", receipt.text());
    let receipt = receipt.to_str().unwrap();
    OrwdCommand::new(["verify", receipt, "--journal", &file])
        .run()
        .expect_success();
    // The key is the host's own, and the same after a restart.
    let key = OrwdCommand::new(["keys", "host", "--state", &state]).run();
    let key = key
        .expect_success()
        .split_whitespace()
        .last()
        .unwrap()
        .to_owned();
    OrwdCommand::new(["verify", receipt, "--key", &key])
        .run()
        .expect_success();
}
