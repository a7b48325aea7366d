//! `orwd inspect`: what a component is, without running an episode of it.

use orwd_tests::artifacts::component;
use orwd_tests::command::Orwd;
use orwd_tests::scratch::Scratch;
use serde_json::Value;

fn inspect(name: &str) -> Value {
    let file = component(name).as_os_str();
    let ended = Orwd::new(["inspect".as_ref(), "--json".as_ref(), file]).run();
    serde_json::from_str(ended.succeeds()).expect("JSON and nothing else")
}

/// Every string in a value.
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
fn a_component_is_described_for_programs() {
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
        "a guest of ours reaches no network: {alpha}"
    );
    mentions(
        &inspect("termarg"),
        &["submit", "answer", "Grade the final message."],
    );
}

#[test]
fn a_component_is_described_for_people() {
    let ended = Orwd::new(["inspect".as_ref(), component("alpha").as_os_str()]).run();
    let text = ended.succeeds();
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
        "colours are for terminals:\n{text}"
    );
}

#[test]
fn what_is_no_component_is_refused() {
    let scratch = Scratch::new();
    let core = scratch.write("core.wasm", b"\0asm\x01\0\0\0");
    let ended = Orwd::new(["inspect".as_ref(), core.as_os_str()]).run();
    ended.refuses(&["core.wasm", "core", "module"]);
    Orwd::new(["inspect", "nowhere.wasm"])
        .run()
        .refuses(&["nowhere.wasm"]);
}
