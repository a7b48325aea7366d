//! `orwd play`: plays an episode interactively or from a script.

use orwd_tests::artifacts::component;
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;

/// Plays these lines on this target.
fn play(target: &str, lines: &[&str]) -> CommandResult {
    let scratch = TestDir::new();
    let script = scratch.write("episode.jsonl", lines.join("\n") + "\n");
    OrwdCommand::new(["play", target, "--script", script.to_str().unwrap()]).run()
}

fn alpha() -> String {
    component("alpha").to_str().unwrap().to_owned()
}

const EPISODE: [&str; 4] = [
    r#"{"split": "train", "index": 2}"#,
    r#"{"tool": "echo", "input": {"text": "hey", "upper": true}, "expect": {"text": "HEY"}}"#,
    r#"{"tool": "echo", "input": {}, "expect": {"error": "input_validation"}}"#,
    r#"{"tool": "finish", "input": {"reward": 0.25}, "expect": {"reward": 0.25, "finished": true}}"#,
];

#[test]
fn a_script_is_played_to_the_end() {
    let ended = play(&alpha(), &EPISODE);
    let text = ended.expect_success();
    for part in ["task train-2", "HEY", "0.25"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_server_is_played_like_a_component() {
    let server = ServeCommand::fixtures(&["chat", "alpha"]).start();
    let ended = play(&format!("{}/alpha", server.base()), &EPISODE);
    assert!(ended.expect_success().contains("HEY"), "{ended}");
}

#[test]
fn an_unfinished_episode_is_a_failure() {
    let ended = play(&alpha(), &EPISODE[..2]);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended}");
    assert!(ended.stdout.contains("HEY"), "{ended}");
}

#[test]
fn a_mismatch_names_the_line_and_both_values() {
    let wrong = r#"{"tool": "echo", "input": {"text": "a"}, "expect": {"text": "b"}}"#;
    let ended = play(&alpha(), &[EPISODE[0], wrong, EPISODE[3]]);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended}");
    for part in ["line 2", "\"a\"", "\"b\""] {
        assert!(ended.stdout.contains(part), "no {part} in: {ended}");
    }
}

#[test]
fn an_invalid_line_is_named() {
    let ended = play(&alpha(), &[EPISODE[0], "{\"tool\": "]);
    ended.expect_failure(&["2"]);
    let ended = play(&alpha(), &[r#"{"split": "nope", "index": 0}"#]);
    ended.expect_failure(&["nope"]);
}

#[test]
fn a_server_with_keys_is_played_with_one() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let made = OrwdCommand::new(["keys", "add", "alice", "--api-keys", &keys]).run();
    let key = made.expect_success();
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", &keys)
        .start();
    let script = scratch.write("episode.jsonl", EPISODE.join("\n"));
    let file = scratch.write("key", key);
    let (script, file) = (script.to_str().unwrap(), file.to_str().unwrap());
    let play = |more: &[&str]| {
        let target = server.base();
        OrwdCommand::new([&["play", target, "--script", script], more].concat())
    };
    play(&[]).run().expect_failure(&["401", "Invalid API key"]);
    assert!(
        play(&["--api-key-file", file])
            .run()
            .expect_success()
            .contains("HEY")
    );
    let by_variable = play(&[]).env("ORWD_API_KEY", key.trim()).run();
    assert!(by_variable.expect_success().contains("HEY"));
    // The file takes precedence, and an empty file is an error.
    let empty = scratch.write("empty", "\n");
    let empty = empty.to_str().unwrap();
    let refused = play(&["--api-key-file", empty]).env("ORWD_API_KEY", key.trim());
    refused.run().expect_failure(&["empty", "no API key"]);
    OrwdCommand::new(["play", &alpha(), "--api-key-file", file])
        .run()
        .expect_failure(&["--api-key-file", "URL"]);
}
