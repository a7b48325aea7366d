//! Attacks by host calls: what a guest makes the host hold, write or do.

use serde_json::json;

use crate::guests::{WatGuest, wat_guest, with_random, with_stdout};
use crate::harness::{AttackHarness, act_answers, act_faults, quick_or_soak};

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

/// Repeats a step `$n` times.
fn repeat(step: &str) -> String {
    format!(
        "(block $end (loop $next
           (br_if $end (i32.eqz (local.get $n)))
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           {step}
           (br $next)))"
    )
}

/// Repeats a step forever.
fn forever(step: &str) -> String {
    format!("(loop $forever {step} (br $forever))")
}

fn guests() -> Vec<WatGuest> {
    vec![
        with_stdout("leak-streams").act(forever("(drop (call $get-stdout))")),
        with_stdout("churn-streams").act(repeat("(call $close (call $get-stdout))")),
        with_stdout("drop-twice").act(
            "(local.set $i (call $get-stdout))
             (call $close (local.get $i)) (call $close (local.get $i))",
        ),
        with_stdout("unknown-handle").act("(call $close (local.get $n))"),
        with_stdout("wrong-handle-type")
            .act("(call $close (call $subscribe-duration (i64.const -1)))"),
        wat_guest("component-handles").act(forever("(drop (call $new (local.get $n)))")),
        wat_guest("handles-in-sequence").act(repeat("(call $drop (call $new (i32.const 3)))")),
        with_random("endless-random-bytes")
            .act("(call $get-random-bytes (i64.const 0x7fffffffffffffff) (i32.const 4096))"),
        with_random("random-in-a-loop").act(forever("(drop (call $get-random-u64))")),
        with_random("random-bytes-kept").act(forever(
            "(call $get-random-bytes (i64.const 65536) (i32.const 4096))",
        )),
        with_stdout("one-byte-writes").act(format!(
            "(local.set $i (call $get-stdout)) {}",
            repeat(
                "(call $blocking-write-and-flush (local.get $i)
                   (i32.const 1024) (i32.const 1) (i32.const 4096))"
            )
        )),
        with_stdout("write-all-of-memory")
            .act("(call $write (call $get-stdout) (i32.const 0) (i32.const -1) (i32.const 4096))"),
        with_stdout("write-out-of-bounds").act(
            "(call $write (call $get-stdout) (i32.const -16) (i32.const 32) (i32.const 4096))",
        ),
        with_stdout("write-megabytes").act(
            "(drop (memory.grow (i32.const 400)))
             (call $write (call $get-stdout)
               (i32.const 0) (i32.const 25165824) (i32.const 4096))",
        ),
        with_stdout("endless-zeroes").act(
            "(call $write-zeroes (call $get-stdout)
               (i64.const 0x7fffffffffffffff) (i32.const 4096))
             (return (call $tell (i32.load8_u (i32.const 4096))))",
        ),
        with_stdout("endless-blocking-zeroes").act(
            "(call $blocking-write-zeroes-and-flush (call $get-stdout)
               (i64.const 0x7fffffffffffffff) (i32.const 4096))
             (return (call $tell (i32.load8_u (i32.const 4096))))",
        ),
        with_stdout("result-out-of-bounds")
            .act("(call $check-write (call $get-stdout) (i32.const -8))"),
        with_stdout("unaligned-result")
            .act("(call $check-write (call $get-stdout) (i32.const 4097))"),
        with_random("no-allocation-for-the-result")
            .with("spare", "(return (i32.const -1))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        with_random("unaligned-allocation")
            .with("spare", "(return (i32.const 65537))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        with_random("list-allocation-that-traps")
            .with("spare", "unreachable")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
        with_random("allocation-that-loops")
            .with("spare", "(loop $forever (br $forever))")
            .act("(call $get-random-bytes (i64.const 64) (i32.const 4096))"),
    ]
}

/// Attacks that end the session: the guest, its input, the fault code, what
/// stops it.
const FATAL: [(&str, u64, &str, &str); 19] = [
    ("leak-streams", 0, "limit_handles", "handles"),
    (
        "drop-twice",
        0,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "unknown-handle",
        77,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "unknown-handle",
        0xffff_ffff,
        "env_invalid_output",
        "the engine: no such handle",
    ),
    (
        "wrong-handle-type",
        0,
        "env_invalid_output",
        "the engine: a handle of another type",
    ),
    (
        "component-handles",
        0,
        "limit_handles",
        "handles of the component",
    ),
    (
        "endless-random-bytes",
        0,
        "env_trap",
        "the limit of random bytes per call",
    ),
    ("random-in-a-loop", 0, "limit_cpu", "call-cpu"),
    (
        "random-bytes-kept",
        0,
        "limit_memory",
        "memory: the guest holds them",
    ),
    (
        "write-all-of-memory",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "write-out-of-bounds",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    ("write-megabytes", 0, "limit_output", "host-call-limit"),
    (
        "result-out-of-bounds",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "unaligned-result",
        0,
        "env_invalid_output",
        "the engine: unaligned",
    ),
    (
        "no-allocation-for-the-result",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    ("unaligned-allocation", 0, "", "the engine"),
    ("list-allocation-that-traps", 0, "env_trap", "the trap"),
    ("allocation-that-loops", 0, "limit_cpu", "call-cpu"),
    (
        "one-byte-writes",
        1_000_000_000,
        "limit_cpu",
        "guest-log-limit, call-cpu",
    ),
];

#[test]
fn host_calls() {
    let files: Vec<_> = guests().iter().map(WatGuest::file).collect();
    let mut harness = AttackHarness::new("calls", &["hostile"], &files, &FLAGS);
    for (guest, input, code, stops) in FATAL {
        let attack = match input {
            0 => guest.to_owned(),
            _ => format!("{guest} ({input})"),
        };
        if guest == "unaligned-allocation" {
            harness.case(&attack, "nothing: bytes need no alignment", |ors| {
                act_answers(ors, guest, json!({}))
            });
            continue;
        }
        harness.case(&attack, stops, |ors| {
            act_faults(ors, guest, json!({ "n": input }), code)
        });
    }
    let many = quick_or_soak(100_000, 10_000_000);
    for guest in ["churn-streams", "handles-in-sequence"] {
        harness.case(
            &format!("{guest}, {many} times"),
            "nothing: none stays behind",
            |ors| {
                let mut text = String::new();
                for _ in 0..many / 100_000 {
                    text = act_answers(ors, guest, json!({"n": 100_000}));
                }
                text
            },
        );
    }
    for guest in ["endless-zeroes", "endless-blocking-zeroes"] {
        harness.case(guest, "the limit of one write", |ors| {
            let session = crate::harness::open(ors, guest);
            let call = session.call("act", json!({}));
            match call.names().last() {
                // 1 means that the stream returned an error.
                Some(&"end") => format!("the guest got {}", call.text()),
                _ => crate::harness::call_faulted(&session, &call, "env_invalid_output"),
            }
        });
    }
    let before = harness.server().log().len();
    let times = quick_or_soak(100_000, 10_000_000);
    harness.case(
        &format!("{times} writes of one byte"),
        "guest-log-limit",
        |ors| {
            let mut text = String::new();
            for _ in 0..times / 100_000 {
                text = act_answers(ors, "one-byte-writes", json!({"n": 100_000}));
            }
            text
        },
    );
    harness.case(
        "64 MiB of lines, compiled from Rust",
        "guest-log-limit",
        |ors| act_answers(ors, "hostile", json!({"how": "flood_stdout"})),
    );
    let written = harness.server().log().len() - before;
    // The limit of each call, with the prefix of each log line.
    let calls = times / 100_000 + 1;
    assert!(written < calls * (32 << 10), "{written} bytes of log");
    harness.end();
}
