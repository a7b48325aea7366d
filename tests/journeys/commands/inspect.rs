//! `orwd inspect`: describes a component without running an episode.

use orwd_tests::artifacts::component;
use orwd_tests::process::OrwdCommand;
use orwd_tests::test_dir::TestDir;
use serde_json::Value;

fn inspect(name: &str) -> Value {
    let file = component(name).as_os_str();
    let ended = OrwdCommand::new(["inspect".as_ref(), "--json".as_ref(), file]).run();
    serde_json::from_str(ended.expect_success()).expect("only JSON")
}

/// Collects every string in a value.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.push(name.clone());
                strings(member, found);
            }
        }
        _ => {}
    }
}

fn mentions(value: &Value, parts: &[&str]) {
    let mut found = Vec::new();
    strings(value, &mut found);
    for part in parts {
        assert!(
            found.iter().any(|text| text.contains(part)),
            "no {part} in {value}"
        );
    }
}

#[test]
fn a_component_is_described_as_json() {
    let alpha = inspect("alpha");
    mentions(
        &alpha,
        &[
            "orwd:environment/orwd-catalog@0.1.0",
            "orwd:environment/orwd-episode@0.1.0",
            "echo",
            "Return the given text.",
            "hidden",
            "holdout",
        ],
    );
    let mut found = Vec::new();
    strings(&alpha, &mut found);
    assert!(
        !found
            .iter()
            .any(|text| text.contains("wasi:sockets") || text.contains("wasi:http")),
        "the component imports a network interface: {alpha}"
    );
    mentions(
        &inspect("termarg"),
        &["submit", "answer", "Grade the final message."],
    );
}

#[test]
fn a_component_is_described_as_text() {
    let ended = OrwdCommand::new(["inspect".as_ref(), component("alpha").as_os_str()]).run();
    let text = ended.expect_success();
    for part in [
        "echo",
        "Return the given text.",
        "train",
        "hard",
        "orwd-episode",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "colours in the output of a pipe:\n{text}"
    );
}

#[test]
fn a_file_that_is_not_a_component_is_refused() {
    let scratch = TestDir::new();
    let core = scratch.write("core.wasm", b"\0asm\x01\0\0\0");
    let ended = OrwdCommand::new(["inspect".as_ref(), core.as_os_str()]).run();
    ended.expect_failure(&["core.wasm", "core", "module"]);
    OrwdCommand::new(["inspect", "nowhere.wasm"])
        .run()
        .expect_failure(&["nowhere.wasm"]);
}
