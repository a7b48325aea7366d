//! How a session's end is named: a code and a kind for programs, a sentence
//! for people, and the guest's own words for the session's owner alone.

use std::time::{Duration, Instant};

use orwd_tests::expect::detail;
use orwd_tests::http::Response;
use orwd_tests::ors::{Session, Task};
use orwd_tests::server::{Serve, Server};
use serde_json::{Value, json};

use crate::SOON;

fn later(session: &Session) -> Response {
    session.post("call", &json!({"name": "fine", "input": {}}))
}

/// Waits until the log has a line with all of these.
#[track_caller]
fn logged(server: &Server, parts: &[&str]) {
    let start = Instant::now();
    let has = |line: &str| parts.iter().all(|part| line.contains(part));
    while !server.log().lines().any(has) {
        assert!(start.elapsed() < SOON, "{parts:?} not in\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_program_reads_is_a_code_and_a_kind() {
    let server = Serve::fixtures(&["hostile", "greedy"])
        .set("--memory", "32MiB")
        .set("--disk", "1MiB")
        .set("--open-files", "50")
        .set("--call-cpu", "400ms")
        .start();
    let ors = server.ors();
    let check = |environment: &str, tool: &str, input: Value, expected: &str| {
        let session = ors.open(environment, Task::Spec(json!({})));
        let call = session.call(tool, input.clone());
        let told = call.error();
        let ours = told.split("; its last words: ").next().unwrap();
        assert_eq!(ours, expected, "{tool} {input}");
        assert!(!told.contains('\n'), "{told}");
        // Nothing of the engine's: no addresses, no frames, no offsets.
        assert!(!ours.contains("0x") && !ours.contains("wasm"), "{told}");
        let gone = detail(&later(&session), 410);
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
        "greedy",
        "fill",
        json!({}),
        "limit_disk: more written into files than the session may",
    );
    check(
        "greedy",
        "hoard",
        json!({}),
        "limit_handles: too many files open",
    );
    check(
        "greedy",
        "leave",
        json!({"words": ""}),
        "env_exit: the environment exited with status 1",
    );
    logged(
        &server,
        &["a session ended", "env_trap", "stack_overflow", "skipped"],
    );
}

#[test]
fn a_refusal_that_a_guest_lives_with_is_not_held_against_it() {
    let server = Serve::fixtures(&["files"]).set("--disk", "1MiB").start();
    let session = server.ors().open("files", Task::Spec(json!({})));
    let fill = json!({"path": "/tmp/big", "piece": 100_000, "count": 20});
    assert!(session.call("fill", fill).text().contains("error: "));
    let removed = session.call("remove", json!({"path": "/tmp/big"}));
    assert_eq!(removed.text(), "removed");
}

#[test]
fn the_guests_words_are_the_owners_alone() {
    let server = Serve::fixtures(&["greedy", "moody"])
        // The log is to have none of them from elsewhere.
        .set("--guest-log-limit", "0")
        .start();
    let ors = server.ors();
    let session = ors.open("greedy", Task::Spec(json!({})));
    let other = ors.open("greedy", Task::Spec(json!({})));
    let words = "Z\u{fc}rich\u{1b}[2J\r\nevent: end\ndata: {}\n\nf\u{fc}nf";
    let call = session.call("leave", json!({"words": words}));
    assert_eq!(call.names(), ["task_id", "error"]);
    let told = call.error();
    let expected = "env_exit: the environment exited with status 1; its last words: \
                    'Z\u{fc}rich\\x1b[2J\\r\\nevent: end\\ndata: {}\\n\\nf\u{fc}nf'";
    assert_eq!(told, expected);
    let gone = detail(&later(&session), 410);
    assert!(gone.contains("Z\u{fc}rich\\x1b[2J"), "{gone}");

    // No more than so much of them, and the last.
    let long = format!("{}the end", "x".repeat(100_000));
    let session = ors.open("greedy", Task::Spec(json!({})));
    let call = session.call("leave", json!({"words": long}));
    let told = call.error();
    assert!(told.len() < 1000 && told.ends_with("xthe end'"), "{told}");

    // Others have none of it, and neither has the log.
    assert_eq!(other.call("eat", json!({"mib": 1})).text(), "ate 1");
    logged(&server, &["a session ended", "env_exit", "status 1"]);
    let log = server.log();
    assert!(!log.contains("rich") && !log.contains("the end"), "{log}");

    // Who asks a catalog is nobody's owner.
    let count = ors.post("/moody/num_tasks", &json!({"split": "cursed"}));
    assert_eq!(
        detail(&count, 500),
        "env_trap: unreachable: the environment panicked or aborted"
    );
}

#[test]
fn what_a_teardown_fails_with_is_in_the_guests_own_log() {
    for (limit, expected) in [("64KiB", 1), ("0", 0)] {
        let server = Serve::fixtures(&["greedy"])
            .set("--guest-log-limit", limit)
            .start();
        let session = server.ors().open("greedy", Task::Spec(json!({})));
        let words = json!({"words": "no\nWARN a grudge\u{1b}[2J"});
        assert_eq!(session.call("bear", words).text(), "borne");
        assert_eq!(session.delete().status(), 200);
        logged(&server, &[session.id(), "teardown failed"]);
        let log = server.log();
        let told = |line: &&str| line.contains("WARN a grudge\\u{1b}[2J");
        assert_eq!(log.lines().filter(told).count(), expected, "{log}");
        assert!(!log.lines().any(|line| line.starts_with("WARN a grudge")));
    }
}

#[test]
fn after_a_fault_there_is_no_teardown() {
    let server = Serve::fixtures(&["greedy"]).start();
    let ors = server.ors();
    let sound = ors.open("greedy", Task::Spec(json!({})));
    assert_eq!(sound.call("eat", json!({"mib": 1})).text(), "ate 1");
    assert_eq!(sound.delete().status(), 200);
    let torn_down = "torn down as it should be";
    logged(&server, &[torn_down, sound.id()]);

    let faulted = ors.open("greedy", Task::Spec(json!({})));
    faulted.call("leave", json!({"words": "gone"}));
    logged(&server, &[faulted.id(), "a session ended", "skipped"]);
    let gone = detail(&later(&faulted), 410);
    assert!(gone.contains("without a teardown"), "{gone}");
    // The answer to deleting it is that to deleting any other.
    let deleted = faulted.delete();
    assert_eq!(deleted.status(), 200);
    assert_eq!(deleted.json(), json!({"sid": faulted.id()}));
    assert_eq!(faulted.ping().status(), 404);

    // Whatever it would have said it would have said by now: one more session
    // came and went.
    let next = ors.open("greedy", Task::Spec(json!({})));
    assert_eq!(next.call("eat", json!({"mib": 1})).text(), "ate 1");
    assert_eq!(next.delete().status(), 200);
    logged(&server, &[torn_down, next.id()]);
    let log = server.log();
    let of_faulted = |line: &&str| line.contains(torn_down) && line.contains(faulted.id());
    assert_eq!(log.lines().find(of_faulted), None);
}
