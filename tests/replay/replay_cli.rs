//! `orwd replay` at the command line: differences, a real clock, sealed secrets.

use std::path::PathBuf;

use orwd_tests::artifacts::{binary, component, target_dir};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, TaskSelector, secrets_header};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::environments::ENVIRONMENTS;
use crate::random_episodes::play;
use crate::replay_command::replay;
use crate::replay_server::ReplayServer;

#[test]
fn a_replay_that_differs_fails() {
    let alpha = ENVIRONMENTS
        .iter()
        .filter(|profile| profile.name == "alpha")
        .collect();
    let mut host = ReplayServer::new(binary(), alpha);
    let mut server = host.start();
    let scripts = host.scripts(&server, 5, false);
    play(&server, scripts);
    server.kill();
    let key = PathBuf::from(host.scratch.at("seal.key"));
    let replay = |more: &[&str]| replay(binary(), &host.state(), &key, more);
    replay(&[]).expect("on its own component all is equal");
    let other = component("chat").to_str().expect("UTF-8");
    let why = replay(&["--against", other]).expect_err("chat is not alpha");
    assert!(why.contains("different"), "{why}");
}

#[test]
fn a_session_with_the_real_clock_is_not_replayed() {
    let scratch = TestDir::new();
    scratch.copy("odd/odd.wasm", component("determinism"));
    scratch.write("odd/orwd.toml", "name = \"odd\"\nclock = \"real\"\n");
    let server = ServeCommand::path(scratch.at("odd"))
        .set("--state", scratch.at("state"))
        .start();
    let session = server.ors().open("odd", TaskSelector::Spec(json!({})));
    session.call("clocks", json!({}));
    let (state, cache) = (scratch.at("state"), target_dir().join("orwd-cache"));
    let cache = cache.to_str().expect("UTF-8");
    let replay = |which: &str| {
        OrwdCommand::new(["replay", which, "--state", &state, "--cache", cache]).run()
    };
    let refused = replay(session.id());
    assert_eq!(refused.code, Some(1), "{refused}");
    refused.expect_failure(&["real clock"]);
    let all = replay("--all");
    assert!(
        all.expect_success()
            .contains("0 different, 1 unsupported, 0 failed"),
        "{all}"
    );
}

#[test]
fn sealed_secrets_need_their_key() {
    let leaky = ENVIRONMENTS
        .iter()
        .filter(|profile| profile.name == "secret-leak")
        .collect();
    let mut host = ReplayServer::new(binary(), leaky);
    let server = host.start();
    let id = "secret-leak.one";
    let secrets = secrets_header(&json!({"CANARY": {"value": "hush-hush-hush"}}));
    let create = HttpRequest::post("/create")
        .header(SESSION_HEADER, id)
        .header("X-Secrets", secrets)
        .json(&json!({"env_name": "secret-leak", "task_spec": {}}));
    assert_eq!(server.ors().fetch(&create).status(), 200);
    let session = server.ors().session("secret-leak", id);
    assert_eq!(session.call("give", json!({})).text(), "hush-hush-hush");
    let (state, cache) = (host.state(), target_dir().join("orwd-cache"));
    let cache = cache.to_str().expect("UTF-8");
    let wrong = host.scratch.write("wrong.key", "b5".repeat(32));
    let replay = |key: Option<&str>| {
        let mut arguments = vec!["replay", id, "--state", &state, "--cache", cache];
        arguments.extend(key.into_iter().flat_map(|key| ["--seal-key", key]));
        OrwdCommand::new(arguments).run()
    };
    let right = host.scratch.at("seal.key");
    assert!(
        replay(Some(&right))
            .expect_success()
            .contains("2 steps, 0 different")
    );
    replay(None).expect_failure(&["sealed", "--seal-key"]);
    replay(wrong.to_str()).expect_failure(&["another key"]);
    // The key may also be in an environment variable.
    let by_variable = OrwdCommand::new(["replay", id, "--state", &state, "--cache", cache])
        .env("ORWD_SEAL_KEY", "5a".repeat(32))
        .run();
    assert!(
        by_variable.expect_success().contains("0 different"),
        "{by_variable}"
    );
}
