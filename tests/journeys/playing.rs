//! `orwd play`: an episode at the terminal, or from a script.

use orwd_tests::artifacts::component;
use orwd_tests::command::{Ended, Orwd};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;

/// Plays these lines on this target.
fn play(target: &str, lines: &[&str]) -> Ended {
    let scratch = Scratch::new();
    let script = scratch.write("episode.jsonl", lines.join("\n") + "\n");
    Orwd::new(["play", target, "--script", script.to_str().unwrap()]).run()
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
    let text = ended.succeeds();
    for part in ["task train-2", "HEY", "0.25"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_server_is_played_as_a_file_is() {
    let server = Serve::fixtures(&["chat", "alpha"]).start();
    let ended = play(&format!("{}/alpha", server.base()), &EPISODE);
    assert!(ended.succeeds().contains("HEY"), "{ended}");
}

#[test]
fn an_episode_that_does_not_finish_is_no_success() {
    let ended = play(&alpha(), &EPISODE[..2]);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended}");
    assert!(ended.stdout.contains("HEY"), "{ended}");
}

#[test]
fn what_was_expected_and_did_not_come_is_named() {
    let wrong = r#"{"tool": "echo", "input": {"text": "a"}, "expect": {"text": "b"}}"#;
    let ended = play(&alpha(), &[EPISODE[0], wrong, EPISODE[3]]);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended}");
    for part in ["line 2", "\"a\"", "\"b\""] {
        assert!(ended.stdout.contains(part), "no {part} in: {ended}");
    }
}

#[test]
fn a_line_that_is_none_is_named() {
    let ended = play(&alpha(), &[EPISODE[0], "{\"tool\": "]);
    ended.refuses(&["2"]);
    let ended = play(&alpha(), &[r#"{"split": "nope", "index": 0}"#]);
    ended.refuses(&["nope"]);
}

#[test]
fn a_server_with_keys_is_played_with_one() {
    let scratch = Scratch::new();
    let keys = scratch.at("keys.toml");
    let made = Orwd::new(["keys", "new", "alice", "--api-keys", &keys]).run();
    let key = made.succeeds();
    let server = Serve::fixtures(&["alpha"]).set("--api-keys", &keys).start();
    let script = scratch.write("episode.jsonl", EPISODE.join("\n"));
    let file = scratch.write("key", key);
    let (script, file) = (script.to_str().unwrap(), file.to_str().unwrap());
    let play = |more: &[&str]| {
        let target = server.base();
        Orwd::new([&["play", target, "--script", script], more].concat())
    };
    play(&[]).run().refuses(&["401", "Invalid API key"]);
    assert!(
        play(&["--api-key-file", file])
            .run()
            .succeeds()
            .contains("HEY")
    );
    let by_variable = play(&[]).env("ORWD_API_KEY", key.trim()).run();
    assert!(by_variable.succeeds().contains("HEY"));
    // The file counts, and an empty one is no key.
    let empty = scratch.write("empty", "\n");
    let empty = empty.to_str().unwrap();
    let refused = play(&["--api-key-file", empty]).env("ORWD_API_KEY", key.trim());
    refused.run().refuses(&["empty", "no API key"]);
    Orwd::new(["play", &alpha(), "--api-key-file", file])
        .run()
        .refuses(&["--api-key-file", "URL"]);
}
