//! The limits on what a session holds: memory, tables, handles, files.

use orwd_tests::artifacts::component;
use orwd_tests::ors::Session;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Server;
use serde_json::{Value, json};

use super::{alone, faulted, open};
use crate::serve;

pub(super) fn memory_is_bounded() {
    let eat = json!({"mib": 64});
    let (server, session) = alone("greedy", &[("--memory", "32MiB")]);
    faulted(&session, &session.call("eat", eat.clone()), "limit_memory");
    let session = open(&server.ors(), "greedy", json!({}));
    assert_eq!(session.call("eat", json!({"mib": 8})).text(), "ate 8");

    let (_server, session) = alone("greedy", &[("--memory", "256MiB")]);
    assert_eq!(session.call("eat", eat).text(), "ate 64");

    let (_server, session) = alone("hostile", &[("--memory", "32MiB")]);
    let call = session.call("act", json!({"how": "eat_memory"}));
    faulted(&session, &call, "limit_memory");
}

/// `local.get 0`, `i32.const 0x7ab1e600`, `i32.xor`: what the guest's `grow` is
/// compiled to.
const PLACE: [u8; 9] = [0x20, 0x00, 0x41, 0x80, 0xcc, 0xc7, 0xd5, 0x07, 0x73];

/// `ref.null func`, `local.get 0`, `table.grow 0`, and two that do nothing.
const GROW: [u8; 9] = [0xd0, 0x70, 0x20, 0x00, 0xfc, 0x0f, 0x00, 0x01, 0x01];

/// The guest with the instruction that Rust has no word for.
fn with_growing_table(scratch: &Scratch) -> String {
    let mut wasm = std::fs::read(component("greedy")).expect("the component");
    let places: Vec<usize> = wasm
        .windows(PLACE.len())
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == PLACE).then_some(at))
        .collect();
    let [place] = places.as_slice() else {
        panic!("the guest's `grow` is at {places:?}");
    };
    wasm[*place..place + PLACE.len()].copy_from_slice(&GROW);
    scratch.write("greedy.wasm", wasm);
    scratch.at("greedy.wasm")
}

pub(super) fn tables_are_bounded() {
    let scratch = Scratch::new();
    let file = with_growing_table(&scratch);
    let lay = json!({"count": 50_000});
    let server = serve(&file).set("--tables", "10000").start();
    let session = open(&server.ors(), "greedy", json!({}));
    faulted(&session, &session.call("lay", lay.clone()), "limit_memory");
    // What was refused is not charged, and what was given is.
    let session = open(&server.ors(), "greedy", json!({}));
    for _ in 0..3 {
        let laid = session.call("lay", json!({"count": 3000})).text();
        assert!(laid.starts_with("laid upon "), "{laid}");
    }
    let call = session.call("lay", json!({"count": 3000}));
    faulted(&session, &call, "limit_memory");
    assert!(call.error().contains("tables"), "{}", call.error());

    let server = serve(&file).set("--tables", "100000").start();
    let session = open(&server.ors(), "greedy", json!({}));
    let laid = session.call("lay", lay).text();
    assert!(laid.starts_with("laid upon "), "{laid}");

    // A table is memory as well: a million elements are eight megabytes.
    let server = serve(&file)
        .set("--tables", "1000000")
        .set("--memory", "4MiB")
        .start();
    let session = open(&server.ors(), "greedy", json!({}));
    let call = session.call("lay", json!({"count": 900_000}));
    faulted(&session, &call, "limit_memory");
}

/// So many files, held open all at once.
fn hold(count: usize) -> Value {
    json!({"path": "/tmp", "count": count, "open": true})
}

pub(super) fn handles_are_bounded() {
    let roomy = [("--open-files", "9000"), ("--files", "10000")];
    let (_server, session) = alone("files", &roomy);
    let call = session.call("many", hold(5000));
    faulted(&session, &call, "limit_handles");

    let [open_files, files] = roomy;
    let flags = [open_files, files, ("--handles", "20000")];
    let (_server, session) = alone("files", &flags);
    let held = session.call("many", hold(5000)).text();
    assert_eq!(held, "5000 done");
    // They were given back, so that there is room for as many again.
    let held = session.call("many", hold(5000)).text();
    assert_eq!(held, "5000 done");
    own_resources_are_bounded();
}

/// Handles of the component model, of which a guest may have more: they cost
/// the host a few bytes each.
fn own_resources_are_bounded() {
    let breed = |session: &Session| session.call("breed", json!({"count": 5000}));
    let (_server, session) = alone("greedy", &[("--handles", "100")]);
    faulted(&session, &breed(&session), "limit_handles");
    let (_server, session) = alone("greedy", &[("--handles", "1000")]);
    assert_eq!(breed(&session).text(), "bred 5000");
    faulted(&session, &breed(&session), "limit_handles");
}

/// Fills a file with 20 MB, or as much as it may; its length, and the words.
fn fill(flags: &[(&str, &str)]) -> (Server, Session, usize, String) {
    let (server, session) = alone("files", flags);
    let piece = json!({"path": "/tmp/big", "piece": 100_000, "count": 200});
    let filled = session.call("fill", piece).text();
    let (length, said) = filled.split_once(' ').expect("a length");
    let length = length.parse().expect("a number");
    (server, session, length, said.to_owned())
}

pub(super) fn disk_is_bounded() {
    let (_server, session, length, said) = fill(&[("--disk", "1MiB")]);
    assert_eq!(length, (1 << 20) - "big".len());
    assert!(said.starts_with("error: "), "{said}");
    // A full disk is no fault.
    let removed = session.call("remove", json!({"path": "/tmp/big"}));
    assert_eq!(removed.text(), "removed");

    let (_server, _session, length, said) = fill(&[("--disk", "64MiB")]);
    assert_eq!((length, said.as_str()), (20_000_000, "done"));
}

pub(super) fn files_are_bounded() {
    let make = json!({"path": "/tmp", "count": 100});
    let (_server, session) = alone("files", &[("--files", "20")]);
    let told = session.call("many", make.clone()).text();
    assert!(told.starts_with("20 error: No space left"), "{told}");
    let (_server, session) = alone("files", &[("--files", "1000")]);
    assert_eq!(session.call("many", make).text(), "100 done");
}

pub(super) fn open_files_are_bounded() {
    let (_server, session) = alone("files", &[("--open-files", "30")]);
    let told = session.call("many", hold(100)).text();
    let (made, said) = told.split_once(' ').expect("a count");
    let made: usize = made.parse().expect("a number");
    assert!((20..30).contains(&made), "{told}");
    assert!(said.contains("Quota exceeded"), "{told}");

    let (_server, session) = alone("files", &[("--open-files", "500")]);
    let held = session.call("many", hold(100)).text();
    assert_eq!(held, "100 done");
}

pub(super) fn journal_is_bounded() {
    let big = || json!({"unit": "0123456789abcdef", "count": 4096});
    let chatter = |session: &Session| {
        let calls = (0..20).map(|_| session.call("big", big()));
        calls
            .take_while(|call| call.names().last() == Some(&"end"))
            .count()
    };
    // What comes of each call is 64 KiB.
    let (_server, session) = alone("alpha", &[("--journal-limit", "300KiB")]);
    assert_eq!(chatter(&session), 5);
    let later = session.post("call", &json!({"name": "noargs", "input": {}}));
    let gone = orwd_tests::expect::detail(&later, 410);
    assert!(gone.starts_with("limit_disk: "), "{gone}");

    let (_server, session) = alone("alpha", &[("--journal-limit", "3MiB")]);
    assert_eq!(chatter(&session), 20);
    // Where nothing is written down there is nothing to bound.
    let flags = [("--journal-limit", "300KiB"), ("--durability", "none")];
    let (_server, session) = alone("alpha", &flags);
    assert_eq!(chatter(&session), 20);
}
