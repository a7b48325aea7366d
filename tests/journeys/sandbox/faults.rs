//! How a fault is reported: a code and a kind for programs, a sentence for
//! people, and the guest's own message for the session's owner only.

use std::time::{Duration, Instant};

use orwd_tests::expect::error_detail;
use orwd_tests::http::HttpResponse;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::{Value, json};

use crate::support::TIMEOUT;

fn call_later(session: &SessionClient) -> HttpResponse {
    session.post("call", &json!({"name": "fine", "input": {}}))
}

/// Waits until the log has a line with all of these parts.
#[track_caller]
fn logged(server: &ServerProcess, parts: &[&str]) {
    let start = Instant::now();
    let has = |line: &str| parts.iter().all(|part| line.contains(part));
    while !server.log().lines().any(has) {
        assert!(
            start.elapsed() < TIMEOUT,
            "{parts:?} not in\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_fault_has_a_code_and_a_kind() {
    let server = ServeCommand::fixtures(&["hostile", "consumer"])
        .set("--memory", "32MiB")
        .set("--disk", "1MiB")
        .set("--open-files", "50")
        .set("--call-cpu", "400ms")
        .start();
    let ors = server.ors();
    let check = |environment: &str, tool: &str, input: Value, expected: &str| {
        let session = ors.open(environment, TaskSelector::Spec(json!({})));
        let call = session.call(tool, input.clone());
        let message = call.error();
        let ours = message.split("; its last words: ").next().unwrap();
        assert_eq!(ours, expected, "{tool} {input}");
        assert!(!message.contains('\n'), "{message}");
        // No details of the engine: no addresses, frames or offsets.
        assert!(!ours.contains("0x") && !ours.contains("wasm"), "{message}");
        let gone = error_detail(&call_later(&session), 410);
        let gone = gone.split("; its last words: ").next().unwrap();
        assert_eq!(
            gone,
            format!("{expected}; the session ended then, without a teardown")
        );
    };
    let act = |how: &str| json!({ "how": how });
    let unreachable = "env_trap: unreachable: the environment panicked or aborted";
    check("hostile", "act", act("panic"), unreachable);
    check("hostile", "act", act("abort"), unreachable);
    check(
        "hostile",
        "act",
        act("overflow_stack"),
        "env_trap: stack_overflow: its calls went too deep",
    );
    check(
        "hostile",
        "act",
        act("exit"),
        "env_exit: the environment exited with status 0",
    );
    check(
        "hostile",
        "act",
        act("loop"),
        "limit_cpu: more than 0.4 s of CPU time used",
    );
    check(
        "hostile",
        "act",
        act("eat_memory"),
        "limit_memory: more memory asked for than the session may have",
    );
    check(
        "consumer",
        "fill",
        json!({}),
        "limit_disk: more written into files than the session may",
    );
    check(
        "consumer",
        "hoard",
        json!({}),
        "limit_handles: too many files open",
    );
    check(
        "consumer",
        "leave",
        json!({"words": ""}),
        "env_exit: the environment exited with status 1",
    );
    logged(
        &server,
        &["session faulted", "env_trap", "stack_overflow", "skipped"],
    );
}

#[test]
fn a_refused_operation_is_not_a_fault() {
    let server = ServeCommand::fixtures(&["files"])
        .set("--disk", "1MiB")
        .start();
    let session = server.ors().open("files", TaskSelector::Spec(json!({})));
    let fill = json!({"path": "/tmp/big", "piece": 100_000, "count": 20});
    assert!(session.call("fill", fill).text().contains("error: "));
    let removed = session.call("remove", json!({"path": "/tmp/big"}));
    assert_eq!(removed.text(), "removed");
}

#[test]
fn the_guests_message_is_visible_to_the_owner_only() {
    let server = ServeCommand::fixtures(&["consumer", "catalog-faults"])
        // So that the log has no guest output from another source.
        .set("--guest-log-limit", "0")
        .start();
    let ors = server.ors();
    let session = ors.open("consumer", TaskSelector::Spec(json!({})));
    let other = ors.open("consumer", TaskSelector::Spec(json!({})));
    let words = "Z\u{fc}rich\u{1b}[2J\r\nevent: end\ndata: {}\n\nf\u{fc}nf";
    let call = session.call("leave", json!({"words": words}));
    assert_eq!(call.names(), ["task_id", "error"]);
    let message = call.error();
    let expected = "env_exit: the environment exited with status 1; its last words: \
                    'Z\u{fc}rich\\x1b[2J\\r\\nevent: end\\ndata: {}\\n\\nf\u{fc}nf'";
    assert_eq!(message, expected);
    let gone = error_detail(&call_later(&session), 410);
    assert!(gone.contains("Z\u{fc}rich\\x1b[2J"), "{gone}");

    // Only the end of a long message is kept.
    let long = format!("{}the end", "x".repeat(100_000));
    let session = ors.open("consumer", TaskSelector::Spec(json!({})));
    let call = session.call("leave", json!({"words": long}));
    let message = call.error();
    assert!(
        message.len() < 1000 && message.ends_with("xthe end'"),
        "{message}"
    );

    // Neither other sessions nor the log contain it.
    assert_eq!(other.call("eat", json!({"mib": 1})).text(), "ate 1");
    logged(&server, &["session faulted", "env_exit", "status 1"]);
    let log = server.log();
    assert!(!log.contains("rich") && !log.contains("the end"), "{log}");

    // A request to the catalog has no session, so it gets no guest message.
    let count = ors.post("/catalog-faults/num_tasks", &json!({"split": "panics"}));
    assert_eq!(
        error_detail(&count, 500),
        "env_trap: unreachable: the environment panicked or aborted"
    );
}

#[test]
fn a_teardown_error_is_in_the_guest_log() {
    for (limit, expected) in [("64KiB", 1), ("0", 0)] {
        let server = ServeCommand::fixtures(&["consumer"])
            .set("--guest-log-limit", limit)
            .start();
        let session = server.ors().open("consumer", TaskSelector::Spec(json!({})));
        let words = json!({"words": "no\nWARN a grudge\u{1b}[2J"});
        assert_eq!(session.call("bear", words).text(), "borne");
        assert_eq!(session.delete().status(), 200);
        logged(&server, &[session.id(), "teardown failed"]);
        let log = server.log();
        let message = |line: &&str| line.contains("WARN a grudge\\u{1b}[2J");
        assert_eq!(log.lines().filter(message).count(), expected, "{log}");
        assert!(!log.lines().any(|line| line.starts_with("WARN a grudge")));
    }
}

#[test]
fn after_a_fault_there_is_no_teardown() {
    let server = ServeCommand::fixtures(&["consumer"]).start();
    let ors = server.ors();
    let sound = ors.open("consumer", TaskSelector::Spec(json!({})));
    assert_eq!(sound.call("eat", json!({"mib": 1})).text(), "ate 1");
    assert_eq!(sound.delete().status(), 200);
    let torn_down = "teardown completed";
    logged(&server, &[torn_down, sound.id()]);

    let faulted = ors.open("consumer", TaskSelector::Spec(json!({})));
    faulted.call("leave", json!({"words": "gone"}));
    logged(&server, &[faulted.id(), "session faulted", "skipped"]);
    let gone = error_detail(&call_later(&faulted), 410);
    assert!(gone.contains("without a teardown"), "{gone}");
    // Deleting it has the usual response.
    let deleted = faulted.delete();
    assert_eq!(deleted.status(), 200);
    assert_eq!(deleted.json(), json!({"sid": faulted.id()}));
    assert_eq!(faulted.ping().status(), 404);

    // A later session has completed its teardown, so the log would have the
    // output of this one by now.
    let next = ors.open("consumer", TaskSelector::Spec(json!({})));
    assert_eq!(next.call("eat", json!({"mib": 1})).text(), "ate 1");
    assert_eq!(next.delete().status(), 200);
    logged(&server, &[torn_down, next.id()]);
    let log = server.log();
    let of_faulted = |line: &&str| line.contains(torn_down) && line.contains(faulted.id());
    assert_eq!(log.lines().find(of_faulted), None);
}
