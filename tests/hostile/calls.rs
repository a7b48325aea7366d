//! Attacks by host calls: what a guest makes the host hold, write or do for it.

use serde_json::json;

use crate::arena::Arena;
use crate::guests::{Guest, guest};
use crate::provoke::{act, answers};
use crate::quick_or_soak;
use crate::time::clock;

const FLAGS: [&str; 10] = [
    "--memory",
    "32MiB",
    "--call-cpu",
    "1s",
    "--call-wall",
    "10s",
    "--guest-log-limit",
    "4KiB",
    "--handles",
    "1000",
];

/// Does something as often as the input says.
fn again(step: &str) -> String {
    format!(
        "(block $end (loop $next
           (br_if $end (i32.eqz (local.get $n)))
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           {step}
           (br $next)))"
    )
}

/// Does something for ever.
fn ever(step: &str) -> String {
    format!("(loop $for-ever {step} (br $for-ever))")
}

fn random(name: &str) -> Guest {
    guest(name).import(
        "wasi:random/random@0.2.0",
        r#"(export "get-random-bytes" (func (param "len" u64) (result (list u8))))
           (export "get-random-u64" (func (result u64)))"#,
        &[
            ("get-random-bytes", "(param i64 i32)"),
            ("get-random-u64", "(result i64)"),
        ],
    )
}

/// A guest with standard output, and its streams.
pub fn stdout(name: &str) -> Guest {
    clock(name)
        .import(
            "wasi:io/error@0.2.0",
            r#"(export "error" (type (sub resource)))"#,
            &[],
        )
        .with(
            "before",
            r#"(alias export $wasi-io-error "error" (type $error))"#,
        )
        .import(
            "wasi:io/streams@0.2.0",
            r#"(export "output-stream" (type $o (sub resource)))
               (export "input-stream" (type $i (sub resource)))
               (alias outer $environment $error (type $e0))
               (export "error" (type $e (eq $e0)))
               (type $s0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
               (export "stream-error" (type $s (eq $s0)))
               (export "[method]output-stream.check-write"
                 (func (param "self" (borrow $o)) (result (result u64 (error $s)))))
               (export "[method]output-stream.write"
                 (func (param "self" (borrow $o)) (param "contents" (list u8))
                   (result (result (error $s)))))
               (export "[method]output-stream.blocking-write-and-flush"
                 (func (param "self" (borrow $o)) (param "contents" (list u8))
                   (result (result (error $s)))))
               (export "[method]output-stream.write-zeroes"
                 (func (param "self" (borrow $o)) (param "len" u64)
                   (result (result (error $s)))))
               (export "[method]output-stream.blocking-write-zeroes-and-flush"
                 (func (param "self" (borrow $o)) (param "len" u64)
                   (result (result (error $s)))))"#,
            &[
                ("[method]output-stream.check-write", "(param i32 i32)"),
                ("[method]output-stream.write", "(param i32 i32 i32 i32)"),
                (
                    "[method]output-stream.blocking-write-and-flush",
                    "(param i32 i32 i32 i32)",
                ),
                ("[method]output-stream.write-zeroes", "(param i32 i64 i32)"),
                (
                    "[method]output-stream.blocking-write-zeroes-and-flush",
                    "(param i32 i64 i32)",
                ),
            ],
        )
        .with(
            "before",
            r#"(alias export $wasi-io-streams "output-stream" (type $output))
               (core func $drop-output (canon resource.drop $output))"#,
        )
        .import(
            "wasi:cli/stdout@0.2.0",
            r#"(alias outer $environment $output (type $o))
               (export "output-stream" (type $p (eq $o)))
               (export "get-stdout" (func (result (own $p))))"#,
            &[("get-stdout", "(result i32)")],
        )
        .with("lent", r#"(export "close" (func $drop-output))"#)
        .with(
            "imports",
            r#"(import "host" "close" (func $close (param i32)))"#,
        )
}

fn guests() -> Vec<Guest> {
    vec![
        stdout("leak-streams").act(ever("(drop (call $get-stdout))")),
        stdout("churn-streams").act(again("(call $close (call $get-stdout))")),
        stdout("drop-twice").act(
            "(local.set $i (call $get-stdout))
             (call $close (local.get $i)) (call $close (local.get $i))",
        ),
        stdout("handle-from-nowhere").act("(call $close (local.get $n))"),
        stdout("wrong-kind-of-handle")
            .act("(call $close (call $subscribe-duration (i64.const -1)))"),
        guest("own-handles").act(ever("(drop (call $new (local.get $n)))")),
        guest("handles-one-by-one").act(again("(call $drop (call $new (i32.const 3)))")),
        random("random-without-end")
            .act("(call $get-random-bytes (i64.const 0x7fffffffffffffff) (i32.const 4096))"),
        random("random-again").act(ever("(drop (call $get-random-u64))")),
        random("random-kept").act(ever(
            "(call $get-random-bytes (i64.const 65536) (i32.const 4096))",
        )),
        stdout("one-byte-writes").act(format!(
            "(local.set $i (call $get-stdout)) {}",
            again(
                "(call $blocking-write-and-flush (local.get $i)
                   (i32.const 1024) (i32.const 1) (i32.const 4096))"
            )
        )),
        stdout("write-all-of-memory")
            .act("(call $write (call $get-stdout) (i32.const 0) (i32.const -1) (i32.const 4096))"),
        stdout("write-beyond-memory").act(
            "(call $write (call $get-stdout) (i32.const -16) (i32.const 32) (i32.const 4096))",
        ),
        stdout("write-megabytes").act(
            "(drop (memory.grow (i32.const 400)))
             (call $write (call $get-stdout)
               (i32.const 0) (i32.const 25165824) (i32.const 4096))",
        ),
        stdout("zeroes-without-end").act(
            "(call $write-zeroes (call $get-stdout)
               (i64.const 0x7fffffffffffffff) (i32.const 4096))
             (return (call $tell (i32.load8_u (i32.const 4096))))",
        ),
        stdout("blocking-zeroes-without-end").act(
            "(call $blocking-write-zeroes-and-flush (call $get-stdout)
               (i64.const 0x7fffffffffffffff) (i32.const 4096))
             (return (call $tell (i32.load8_u (i32.const 4096))))",
        ),
        stdout("answer-out-of-memory").act("(call $check-write (call $get-stdout) (i32.const -8))"),
        stdout("answer-not-aligned").act("(call $check-write (call $get-stdout) (i32.const 4097))"),
        random("no-room-for-the-answer")
            .with("spare", "(return (i32.const -1))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        random("room-not-aligned")
            .with("spare", "(return (i32.const 65537))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        random("no-room-but-a-trap")
            .with("spare", "unreachable")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        random("no-room-but-a-loop")
            .with("spare", "(loop $for-ever (br $for-ever))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
    ]
}

/// Attacks that end the session: the guest, its input, the code, what stops it.
const FATAL: [(&str, u64, &str, &str); 19] = [
    ("leak-streams", 0, "limit_handles", "handles"),
    (
        "drop-twice",
        0,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "handle-from-nowhere",
        77,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "handle-from-nowhere",
        0xffff_ffff,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "wrong-kind-of-handle",
        0,
        "env_invalid_output",
        "the engine: a handle of another kind",
    ),
    (
        "own-handles",
        0,
        "limit_handles",
        "handles of the component",
    ),
    ("random-without-end", 0, "env_trap", "random bytes at once"),
    ("random-again", 0, "limit_cpu", "call-cpu"),
    (
        "random-kept",
        0,
        "limit_memory",
        "memory: it is the guest that holds them",
    ),
    (
        "write-all-of-memory",
        0,
        "env_invalid_output",
        "the engine: beyond the memory",
    ),
    (
        "write-beyond-memory",
        0,
        "env_invalid_output",
        "the engine: beyond the memory",
    ),
    ("write-megabytes", 0, "limit_output", "host-call-limit"),
    (
        "answer-out-of-memory",
        0,
        "env_invalid_output",
        "the engine: beyond the memory",
    ),
    (
        "answer-not-aligned",
        0,
        "env_invalid_output",
        "the engine: not aligned",
    ),
    (
        "no-room-for-the-answer",
        0,
        "env_invalid_output",
        "the engine: beyond the memory",
    ),
    ("room-not-aligned", 0, "", "the engine"),
    ("no-room-but-a-trap", 0, "env_trap", "the trap"),
    ("no-room-but-a-loop", 0, "limit_cpu", "call-cpu"),
    (
        "one-byte-writes",
        1_000_000_000,
        "limit_cpu",
        "guest-log-limit, call-cpu",
    ),
];

#[test]
fn host_calls() {
    let files: Vec<_> = guests().iter().map(Guest::file).collect();
    let mut arena = Arena::new("calls", &["hostile"], &files, &FLAGS);
    for (guest, input, code, stops) in FATAL {
        let attack = match input {
            0 => guest.to_owned(),
            _ => format!("{guest} ({input})"),
        };
        if guest == "room-not-aligned" {
            arena.case(&attack, "nothing: bytes need no alignment", |ors| {
                answers(ors, guest, json!({}))
            });
            continue;
        }
        arena.case(&attack, stops, |ors| {
            act(ors, guest, json!({ "n": input }), code)
        });
    }
    let many = quick_or_soak(100_000, 10_000_000);
    for guest in ["churn-streams", "handles-one-by-one"] {
        arena.case(
            &format!("{guest}, {many} of them"),
            "nothing: none is left behind",
            |ors| {
                let mut told = String::new();
                for _ in 0..many / 100_000 {
                    told = answers(ors, guest, json!({"n": 100_000}));
                }
                told
            },
        );
    }
    for guest in ["zeroes-without-end", "blocking-zeroes-without-end"] {
        arena.case(guest, "what may be written at once", |ors| {
            let session = crate::arena::open(ors, guest);
            let call = session.call("act", json!({}));
            match call.names().last() {
                // Told that the stream is in no state for it: 1 is an error.
                Some(&"end") => format!("the guest was told {}", call.text()),
                _ => crate::provoke::faulted(&session, &call, "env_invalid_output"),
            }
        });
    }
    let before = arena.server().log().len();
    let times = quick_or_soak(100_000, 10_000_000);
    arena.case(
        &format!("{times} writes of a byte"),
        "guest-log-limit",
        |ors| {
            let mut told = String::new();
            for _ in 0..times / 100_000 {
                told = answers(ors, "one-byte-writes", json!({"n": 100_000}));
            }
            told
        },
    );
    arena.case(
        "64 MiB of lines, compiled from Rust",
        "guest-log-limit",
        |ors| answers(ors, "hostile", json!({"how": "flood_stdout"})),
    );
    let written = arena.server().log().len() - before;
    // What is kept of each call, with what is said around it for each line.
    let calls = times / 100_000 + 1;
    assert!(written < calls * (32 << 10), "{written} bytes of log");
    arena.end();
}
