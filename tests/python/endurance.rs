//! Python sessions are sessions: they fail without dying, do not disturb each
//! other, replay bit for bit, and survive a host that is killed.

use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::building::{build, cache, gallery, source};

/// Returns the text of a call's result, or its error.
fn text(session: &SessionClient, tool: &str, input: Value) -> String {
    let transcript = session.call(tool, input);
    let mut joined = String::new();
    for event in &transcript.events {
        match event.name.as_str() {
            "chunk" | "end" => joined.push_str(&event.data),
            "error" => return format!("error: {}", event.data),
            _ => {}
        }
    }
    let result: Value = serde_json::from_str(&joined).expect("a result is JSON");
    match result["output"]["blocks"][0]["text"].as_str() {
        Some(text) => text.to_owned(),
        None => result.to_string(),
    }
}

#[test]
fn what_would_end_a_process_is_an_error_of_the_call() {
    let session = gallery().ors().open("faulty", TaskSelector::At("train", 0));
    for (how, part) in [
        ("exit", "3"),
        ("interrupt", ""),
        ("odd", "the exception has no message"),
        ("surrogate", "surrogates not allowed"),
        (
            "thread",
            "threads cannot be started in an environment on orwd",
        ),
        (
            "process",
            "processes cannot be started in an environment on orwd",
        ),
        ("deadlock", "deadlock: every task waits for another"),
    ] {
        let said = text(&session, "leave", json!({"how": how}));
        assert!(
            said.starts_with("error: ") && said.contains(part),
            "{how}: {said}"
        );
    }
    assert_eq!(text(&session, "leave", json!({"how": "done"})), "done 8");
    let said = text(&session, "fail", json!({"how": "recursion"}));
    assert!(said.contains("maximum recursion depth exceeded"), "{said}");
    let said = text(&session, "leave", json!({"how": "done"}));
    assert!(said.starts_with("done "), "{said}");
    gallery().wait_for_log("maximum recursion depth exceeded");
}

#[test]
fn sessions_have_randomness_of_their_own_and_replay_bit_for_bit() {
    let state = TestDir::new();
    build(&source("gallery"));
    let serve = || {
        ServeCommand::path(source("gallery"))
            .set("--state", state.path())
            .set("--durability", "process")
    };
    let address = orwd_tests::process::unused_address();
    let mut server = serve().start_at(&address);
    let ors = server.ors();
    let open = || ors.open("dice", TaskSelector::At("train", 0));
    let (one, two) = (open(), open());
    let rolls = |session: &SessionClient| text(session, "roll", json!({}));
    let first: Value = parse(&rolls(&one));
    let second: Value = parse(&rolls(&two));
    let fixed = 2;
    for place in 0..8 {
        let equal = first[place] == second[place];
        assert_eq!(equal, place == fixed, "{place}: {first} {second}");
    }
    assert_eq!(
        text(&one, "hashes", json!({})),
        text(&two, "hashes", json!({}))
    );
    text(&one, "clock", json!({}));
    // The host is killed, and both continue.
    server.kill();
    let server = serve().start_at(&address);
    let third: Value = parse(&rolls(&one));
    assert_ne!(third[0], first[0], "{third}");
    assert_eq!(third[fixed], parse(&rolls(&two))[fixed]);
    let walk = server.ors().open("workers", TaskSelector::At("train", 0));
    assert!(text(&walk, "gather", json!({})).contains("[3, 2, 1, 0]"));
    walk.leave_open();
    one.leave_open();
    two.leave_open();
    drop(server);
    let replayed = OrwdCommand::new([
        "replay".as_ref(),
        "--all".as_ref(),
        "--state".as_ref(),
        state.path().as_os_str(),
        "--cache".as_ref(),
        cache().as_os_str(),
    ])
    .timeout(crate::building::BUILD)
    .run();
    let said = replayed.expect_success();
    assert!(said.contains("3"), "{said}");
}

/// Parses what Python prints for a list of numbers and strings.
fn parse(text: &str) -> Value {
    serde_json::from_str(&text.replace('\'', "\"")).unwrap_or_else(|_| panic!("a list: {text}"))
}
