//! The limits of a session's resources: memory, tables, handles, files.

use orwd_tests::artifacts::component;
use orwd_tests::ors::SessionClient;
use orwd_tests::process::ServerProcess;
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use super::support::{alone, faulted, open};
use crate::support::serve;

pub(super) fn memory_is_limited() {
    let eat = json!({"mib": 64});
    let (server, session) = alone("consumer", &[("--memory", "32MiB")]);
    faulted(&session, &session.call("eat", eat.clone()), "limit_memory");
    let session = open(&server.ors(), "consumer", json!({}));
    assert_eq!(session.call("eat", json!({"mib": 8})).text(), "ate 8");

    let (_server, session) = alone("consumer", &[("--memory", "256MiB")]);
    assert_eq!(session.call("eat", eat).text(), "ate 64");

    let (_server, session) = alone("hostile", &[("--memory", "32MiB")]);
    let call = session.call("act", json!({"how": "eat_memory"}));
    faulted(&session, &call, "limit_memory");
}

/// `local.get 0`, `i32.const 0x7ab1e600`, `i32.xor`: the compiled body of the
/// guest's `grow`.
const GROW_PLACEHOLDER: [u8; 9] = [0x20, 0x00, 0x41, 0x80, 0xcc, 0xc7, 0xd5, 0x07, 0x73];

/// `ref.null func`, `local.get 0`, `table.grow 0`, and two `nop`.
const GROW_INSTRUCTION: [u8; 9] = [0xd0, 0x70, 0x20, 0x00, 0xfc, 0x0f, 0x00, 0x01, 0x01];

/// Writes the guest with `table.grow`, which Rust cannot express.
fn with_growing_table(scratch: &TestDir) -> String {
    let mut wasm = std::fs::read(component("consumer")).expect("the component");
    let places: Vec<usize> = wasm
        .windows(GROW_PLACEHOLDER.len())
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == GROW_PLACEHOLDER).then_some(at))
        .collect();
    let [place] = places.as_slice() else {
        panic!("the guest's `grow` is at {places:?}");
    };
    wasm[*place..place + GROW_PLACEHOLDER.len()].copy_from_slice(&GROW_INSTRUCTION);
    scratch.write("consumer.wasm", wasm);
    scratch.at("consumer.wasm")
}

pub(super) fn tables_are_limited() {
    let scratch = TestDir::new();
    let file = with_growing_table(&scratch);
    let lay = json!({"count": 50_000});
    let server = serve(&file).set("--tables", "10000").start();
    let session = open(&server.ors(), "consumer", json!({}));
    faulted(&session, &session.call("lay", lay.clone()), "limit_memory");
    // Refused growth is not charged, granted growth is.
    let session = open(&server.ors(), "consumer", json!({}));
    for _ in 0..3 {
        let laid = session.call("lay", json!({"count": 3000})).text();
        assert!(laid.starts_with("laid upon "), "{laid}");
    }
    let call = session.call("lay", json!({"count": 3000}));
    faulted(&session, &call, "limit_memory");
    assert!(call.error().contains("tables"), "{}", call.error());

    let server = serve(&file).set("--tables", "100000").start();
    let session = open(&server.ors(), "consumer", json!({}));
    let laid = session.call("lay", lay).text();
    assert!(laid.starts_with("laid upon "), "{laid}");

    // A table counts as memory: a million elements are eight megabytes.
    let server = serve(&file)
        .set("--tables", "1000000")
        .set("--memory", "4MiB")
        .start();
    let session = open(&server.ors(), "consumer", json!({}));
    let call = session.call("lay", json!({"count": 900_000}));
    faulted(&session, &call, "limit_memory");
}

/// The input for opening this number of files at the same time.
fn hold(count: usize) -> Value {
    json!({"path": "/tmp", "count": count, "open": true})
}

pub(super) fn handles_are_limited() {
    let roomy = [("--open-files", "9000"), ("--files", "10000")];
    let (_server, session) = alone("files", &roomy);
    let call = session.call("many", hold(5000));
    faulted(&session, &call, "limit_handles");

    let [open_files, files] = roomy;
    let flags = [open_files, files, ("--handles", "20000")];
    let (_server, session) = alone("files", &flags);
    let held = session.call("many", hold(5000)).text();
    assert_eq!(held, "5000 done");
    // The handles were closed, so that as many can be opened again.
    let held = session.call("many", hold(5000)).text();
    assert_eq!(held, "5000 done");
    component_resources_are_limited();
}

/// Handles of the component model cost the host a few bytes each, so a guest may
/// have more of them.
fn component_resources_are_limited() {
    let breed = |session: &SessionClient| session.call("breed", json!({"count": 5000}));
    let (_server, session) = alone("consumer", &[("--handles", "100")]);
    faulted(&session, &breed(&session), "limit_handles");
    let (_server, session) = alone("consumer", &[("--handles", "1000")]);
    assert_eq!(breed(&session).text(), "bred 5000");
    faulted(&session, &breed(&session), "limit_handles");
}

/// Writes up to 20 MB to a file; returns its length and the outcome.
fn fill(flags: &[(&str, &str)]) -> (ServerProcess, SessionClient, usize, String) {
    let (server, session) = alone("files", flags);
    let piece = json!({"path": "/tmp/big", "piece": 100_000, "count": 200});
    let filled = session.call("fill", piece).text();
    let (length, said) = filled.split_once(' ').expect("a length");
    let length = length.parse().expect("a number");
    (server, session, length, said.to_owned())
}

pub(super) fn disk_is_limited() {
    let (_server, session, length, said) = fill(&[("--disk", "1MiB")]);
    assert_eq!(length, (1 << 20) - "big".len());
    assert!(said.starts_with("error: "), "{said}");
    // A full disk is not a fault.
    let removed = session.call("remove", json!({"path": "/tmp/big"}));
    assert_eq!(removed.text(), "removed");

    let (_server, _session, length, said) = fill(&[("--disk", "64MiB")]);
    assert_eq!((length, said.as_str()), (20_000_000, "done"));
}

pub(super) fn files_are_limited() {
    let make = json!({"path": "/tmp", "count": 100});
    let (_server, session) = alone("files", &[("--files", "20")]);
    let message = session.call("many", make.clone()).text();
    assert!(message.starts_with("20 error: No space left"), "{message}");
    let (_server, session) = alone("files", &[("--files", "1000")]);
    assert_eq!(session.call("many", make).text(), "100 done");
}

pub(super) fn open_files_are_limited() {
    let (_server, session) = alone("files", &[("--open-files", "30")]);
    let message = session.call("many", hold(100)).text();
    let (made, said) = message.split_once(' ').expect("a count");
    let made: usize = made.parse().expect("a number");
    assert!((20..30).contains(&made), "{message}");
    assert!(said.contains("Quota exceeded"), "{message}");

    let (_server, session) = alone("files", &[("--open-files", "500")]);
    let held = session.call("many", hold(100)).text();
    assert_eq!(held, "100 done");
}

pub(super) fn journal_is_limited() {
    let big = || json!({"unit": "0123456789abcdef", "count": 4096});
    let chatter = |session: &SessionClient| {
        let calls = (0..20).map(|_| session.call("big", big()));
        calls
            .take_while(|call| call.names().last() == Some(&"end"))
            .count()
    };
    // Each result has 64 KiB.
    let (_server, session) = alone("alpha", &[("--journal-limit", "300KiB")]);
    assert_eq!(chatter(&session), 5);
    let later = session.post("call", &json!({"name": "noargs", "input": {}}));
    let gone = orwd_tests::expect::error_detail(&later, 410);
    assert!(gone.starts_with("limit_disk: "), "{gone}");

    let (_server, session) = alone("alpha", &[("--journal-limit", "3MiB")]);
    assert_eq!(chatter(&session), 20);
    // Without a journal the limit does not apply.
    let flags = [("--journal-limit", "300KiB"), ("--durability", "none")];
    let (_server, session) = alone("alpha", &flags);
    assert_eq!(chatter(&session), 20);
}
