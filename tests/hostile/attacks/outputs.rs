//! Attacks by what a guest returns: malformed values, oversized values, and texts
//! that would be interpreted elsewhere.

use orwd_tests::ors::{OrsClient, TaskSelector};
use serde_json::json;

use crate::guests::ResultKind::{InvalidOutput, NoValue, Valid};
use crate::guests::{ResultImage, ResultKind, WatGuest, malformed_results, wat_guest, with_clock};
use crate::harness::{
    AttackHarness, act_faults, act_is_invalid, catch_panic, component_refused, create_fails, open,
    setup_fails,
};

const FLAGS: [&str; 12] = [
    "--memory",
    "64MiB",
    "--result-limit",
    "1MiB",
    "--host-call-limit",
    "4MiB",
    "--call-cpu",
    "2s",
    "--call-wall",
    "10s",
    "--guest-log-limit",
    "4KiB",
];

/// Functions that return an output with metadata or blocks at an address.
const OUTPUT_FUNCTIONS: &str = "
    (func $metadata (param $at i32) (param $size i32) (result i32)
      (memory.copy (i32.const 5120) (i32.const 3072) (i32.const 56))
      (i32.store8 (i32.const 5136) (i32.const 1))
      (i32.store (i32.const 5140) (local.get $at))
      (i32.store (i32.const 5144) (local.get $size))
      (i32.const 5120))
    (func $blocks (param $at i32) (param $count i32) (result i32)
      (memory.copy (i32.const 5120) (i32.const 3072) (i32.const 56))
      (i32.store (i32.const 5128) (local.get $at))
      (i32.store (i32.const 5132) (local.get $count))
      (i32.const 5120))";

/// Returns `$n` blocks that all point to the same text.
const ALIASES: &str = "
    (local.set $j (call $allocate (i32.mul (local.get $n) (i32.const 32))))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (i32.store
        (i32.add (i32.const 4) (i32.add (local.get $j) (i32.mul (local.get $i) (i32.const 32))))
        (global.get $text))
      (i32.store
        (i32.add (i32.const 8) (i32.add (local.get $j) (i32.mul (local.get $i) (i32.const 32))))
        (global.get $length))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (return (call $blocks (local.get $j) (local.get $n)))";

fn aliases(name: &str, length: usize) -> WatGuest {
    wat_guest(name)
        .with("module", OUTPUT_FUNCTIONS)
        .with(
            "module",
            format!(
                "(global $text (mut i32) (i32.const 0)) (global $length i32 (i32.const {length}))"
            ),
        )
        .act(format!(
            "(global.set $text (call $allocate (i32.const {length})))
             (memory.fill (global.get $text) (i32.const 120) (i32.const {length}))"
        ))
        .act(ALIASES)
}

fn traps() -> WatGuest {
    wat_guest("traps")
        .with(
            "module",
            "(type $nothing (func)) (type $number (func (param i32) (result i32)))
             (table 3 funcref) (elem (i32.const 0) $heap-of)
             (func $heap-of)",
        )
        .act(
            "(if (i32.eq (local.get $n) (i32.const 0)) (then unreachable))
             (if (i32.eq (local.get $n) (i32.const 1)) (then
               (drop (i32.div_u (i32.const 1) (local.get $i)))))
             (if (i32.eq (local.get $n) (i32.const 2)) (then
               (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))))
             (if (i32.eq (local.get $n) (i32.const 3)) (then
               (drop (i32.load (i32.const -4)))))
             (if (i32.eq (local.get $n) (i32.const 4)) (then
               (call_indirect (type $nothing) (i32.const 9))))
             (if (i32.eq (local.get $n) (i32.const 5)) (then
               (call_indirect (type $nothing) (i32.const 2))))
             (if (i32.eq (local.get $n) (i32.const 6)) (then
               (drop (call_indirect (type $number) (i32.const 1) (i32.const 0)))))
             (if (i32.eq (local.get $n) (i32.const 7)) (then
               (drop (i32.trunc_f64_s (f64.const nan)))))",
        )
}

const TRAPS: [&str; 8] = [
    "unreachable",
    "divide_by_zero",
    "integer_overflow",
    "memory_out_of_bounds",
    "table_out_of_bounds",
    "null_call",
    "bad_signature",
    "bad_conversion",
];

fn guests() -> Vec<WatGuest> {
    // A text of one or two UTF-16 units at 6144, in a block at 6208.
    let wide = |name: &str, encoding: &str, place: u32, length: u32| {
        wat_guest(name)
            .with("module", OUTPUT_FUNCTIONS)
            .with("call-encoding", format!("string-encoding={encoding}"))
            .act(format!(
                "(i32.store (i32.const 6144) (i32.const 0x0061d800))
                 (memory.copy (i32.const 6208) (i32.const 3200) (i32.const 32))
                 (i32.store (i32.const 6212) (i32.const {place}))
                 (i32.store (i32.const 6216) (i32.const {length}))
                 (return (call $blocks (i32.const 6208) (i32.const 1)))"
            ))
    };
    let deep = |name: &str, fill: u8| {
        wat_guest(name)
            .with("module", OUTPUT_FUNCTIONS)
            .with("data", "(data (i32.const 6144) \"{\\\"a\\\":\")")
            .act(format!(
                ";; {{\"a\": and then $n times the fill byte.
                 (local.set $j (call $allocate (i32.add (local.get $n) (i32.const 16))))
                 (memory.copy (local.get $j) (i32.const 6144) (i32.const 5))
                 (memory.fill (i32.add (local.get $j) (i32.const 5))
                   (i32.const {fill}) (local.get $n))
                 (i32.store8
                   (i32.add (i32.add (local.get $j) (local.get $n)) (i32.const 5))
                   (i32.const 125))
                 (return (call $metadata (local.get $j)
                   (i32.add (local.get $n) (i32.const 6))))"
            ))
    };
    vec![
        malformed_results().1,
        traps(),
        wat_guest("address").act("(return (local.get $n))"),
        aliases("aliases", 1 << 20),
        aliases("empties", 0),
        aliases("halves", 600 << 10),
        deep("deep-lists", b'['),
        deep("long-number", b'9'),
        wide("utf16-lone-surrogate", "utf16", 6144, 1),
        wide("utf16-unaligned", "utf16", 6145, 1),
        wide("utf16-of-four-gibibytes", "utf16", 6144, 0x7fff_ffff),
        wide("compact-lone-surrogate", "latin1+utf16", 6144, 0x8000_0001),
        wide("compact-unaligned", "latin1+utf16", 6145, 0x8000_0001),
        wide(
            "compact-of-two-gibibytes",
            "latin1+utf16",
            6144,
            0xffff_ffff,
        ),
        wat_guest("an-unknown-handle").with(
            "open",
            "(i32.store (i32.const 4096) (i32.const 0))
             (i32.store (i32.const 4100) (i32.const 77))
             (return (i32.const 4096))",
        ),
        wat_guest("a-dropped-handle").with(
            "open",
            "(i32.store (i32.const 4096) (i32.const 0))
             (i32.store (i32.const 4100) (call $new (i32.const 7)))
             (call $drop (i32.load (i32.const 4100)))
             (return (i32.const 4096))",
        ),
        wat_guest("a-huge-error").with(
            "open",
            "(i32.store8 (i32.const 4096) (i32.const 1))
             (i32.store (i32.const 4100) (i32.const 0))
             (i32.store (i32.const 4104) (i32.const 0x7fffffff))
             (return (i32.const 4096))",
        ),
        wat_guest("prompt-out-of-bounds").with(
            "prompt",
            "(i32.store (i32.const 4100) (i32.const -64)) (return (i32.const 4096))",
        ),
        wat_guest("setup-neither-ok-nor-error")
            .with("setup", "(i32.store (i32.const 4096) (i32.const 9))"),
        wat_guest("allocation-out-of-bounds").with("realloc", "(return (i32.const -8))"),
        wat_guest("allocation-that-traps").with("realloc", "unreachable"),
        with_clock("allocation-with-a-host-call").with("realloc", "(drop (call $now))"),
        wat_guest("allocation-that-overlaps").with("realloc", "(return (i32.const 8192))"),
        wat_guest("trap-in-post-return")
            .with("module", "(global $armed (mut i32) (i32.const 0))")
            .act("(global.set $armed (i32.const 1))")
            .with("post", "(if (global.get $armed) (then unreachable))"),
        with_clock("host-call-in-post-return")
            .with("module", "(global $armed (mut i32) (i32.const 0))")
            .act("(global.set $armed (i32.const 1))")
            .with("post", "(if (global.get $armed) (then (drop (call $now))))"),
        wat_guest("exit-with-an-error")
            .import(
                "wasi:cli/exit@0.2.0",
                r#"(export "exit" (func (param "status" (result))))"#,
                &[("exit", "(param i32)")],
            )
            .act("(call $exit (i32.const 1))"),
    ]
}

/// Attacks by single calls: the guest, its input, the fault code, what stops it.
const FATAL: [(&str, u64, &str, &str); 22] = [
    (
        "address",
        0xffff_fff8,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "address",
        131_064,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "address",
        3073,
        "env_invalid_output",
        "the engine: unaligned",
    ),
    (
        "aliases",
        100_000,
        "limit_output",
        "host-call-limit: each copy counts",
    ),
    (
        "aliases",
        5,
        "limit_output",
        "host-call-limit: each copy counts",
    ),
    (
        "empties",
        1_000_000,
        "limit_output",
        "host-call-limit: each block counts",
    ),
    (
        "halves",
        2,
        "limit_output",
        "result-limit: each copy counts",
    ),
    (
        "utf16-lone-surrogate",
        0,
        "env_invalid_output",
        "the engine: invalid text",
    ),
    (
        "utf16-unaligned",
        0,
        "env_invalid_output",
        "the engine: unaligned",
    ),
    (
        "utf16-of-four-gibibytes",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "compact-lone-surrogate",
        0,
        "env_invalid_output",
        "the engine: invalid text",
    ),
    (
        "compact-unaligned",
        0,
        "env_invalid_output",
        "the engine: unaligned",
    ),
    (
        "compact-of-two-gibibytes",
        0,
        "env_invalid_output",
        "the engine: out of bounds",
    ),
    (
        "trap-in-post-return",
        0,
        "env_trap: unreachable",
        "the trap",
    ),
    (
        "host-call-in-post-return",
        0,
        "env_trap: component",
        "the engine: no host calls in post-return",
    ),
    (
        "exit-with-an-error",
        0,
        "env_exit",
        "the host: it ends the session",
    ),
    (
        "hostile exit",
        0,
        "env_exit",
        "the host: it ends the session",
    ),
    ("hostile abort", 0, "env_trap: unreachable", "the trap"),
    ("hostile panic", 0, "env_trap: unreachable", "the trap"),
    (
        "hostile overflow_stack",
        0,
        "env_trap: stack_overflow",
        "the guest's stack",
    ),
    (
        "hostile huge_output",
        0,
        "limit_",
        "result-limit, host-call-limit or memory",
    ),
    ("long-number", 3_000_000, "limit_output", "result-limit"),
];

#[test]
fn outputs() {
    let files: Vec<_> = guests().iter().map(WatGuest::file).collect();
    let mut harness = AttackHarness::new("outputs", &["hostile"], &files, &FLAGS);
    let (rows, _) = malformed_results();
    for (fate, title, stops) in [
        (
            NoValue,
            "results that are not values of the type",
            "the engine: invalid value",
        ),
        (
            InvalidOutput,
            "values that are invalid results",
            "the validation of results",
        ),
        (
            Valid,
            "unusual but valid results",
            "nothing: they are valid",
        ),
    ] {
        let chosen: Vec<(usize, &(String, ResultImage, ResultKind))> = rows
            .iter()
            .enumerate()
            .filter(|(_, (_, _, its))| *its == fate)
            .collect();
        harness.case(&format!("{} {title}", chosen.len()), stops, |ors| {
            let mut returned = String::new();
            for (number, (name, ..)) in &chosen {
                returned = catch_panic(|| return_malformed(ors, *number, fate))
                    .unwrap_or_else(|panic| panic!("{name}: {panic}"));
            }
            returned
        });
    }
    for (number, kind) in TRAPS.iter().enumerate() {
        harness.case(&format!("a trap: {kind}"), "the trap", |ors| {
            act_faults(
                ors,
                "traps",
                json!({ "n": number }),
                &format!("env_trap: {kind}"),
            )
        });
    }
    for (guest, input, code, stops) in FATAL {
        let attack = if input == 0 {
            guest.to_owned()
        } else {
            format!("{guest} ({input})")
        };
        harness.case(&attack, stops, |ors| match guest.split_once(' ') {
            Some((guest, how)) if code.ends_with('_') => {
                let session = open(ors, guest);
                let returned = session
                    .call("act", json!({ "how": how }))
                    .error()
                    .to_owned();
                assert!(returned.starts_with(code), "{returned}");
                returned
            }
            Some((guest, how)) => act_faults(ors, guest, json!({ "how": how }), code),
            None => act_faults(ors, guest, json!({ "n": input }), code),
        });
    }
    for (guest, code) in [
        ("an-unknown-handle", "env_invalid_output"),
        ("a-dropped-handle", "env_invalid_output"),
        ("a-huge-error", "env_invalid_output"),
        ("allocation-out-of-bounds", "env_"),
        ("allocation-that-traps", "env_trap"),
        ("allocation-with-a-host-call", "env_trap"),
    ] {
        harness.case(guest, "the engine, where the session is opened", |ors| {
            create_fails(ors, guest, json!({}), code)
        });
    }
    for guest in ["prompt-out-of-bounds", "setup-neither-ok-nor-error"] {
        harness.case(guest, "the engine", |ors| {
            setup_fails(ors, guest, json!({}), "env_invalid_output")
        });
    }
    harness.case(
        "allocation-that-overlaps",
        "nothing: the guest only corrupts itself",
        |ors| {
            let session = open(ors, "allocation-that-overlaps");
            session.call("fine", json!({})).names().join(", ")
        },
    );
    harness.case("metadata of 100 000 levels", "json-depth", |ors| {
        act_is_invalid(
            ors,
            "deep-lists",
            json!({"n": 100_000}),
            "env_invalid_output",
        )
    });
    harness.case(
        "a number of 500 000 digits",
        "nothing: numbers are kept as text",
        |ors| {
            let session = open(ors, "long-number");
            let call = session.call("act", json!({"n": 500_000}));
            let payload = call.payload();
            assert!(payload.len() > 500_000 && payload.contains(&"9".repeat(500_000)));
            format!("a result of {} bytes", payload.len())
        },
    );
    let bad = wat_guest("describe-out-of-bounds")
        .with("describe", "(return (i32.const -8))")
        .file();
    harness.case(
        "a description out of bounds",
        "refused before it is served",
        |_| component_refused(&bad, &FLAGS, &["env_invalid_output"]),
    );
    harness.case(
        "finite rewards, bit by bit",
        "nothing: they are valid",
        rewards,
    );
    harness.case(
        "texts that imitate events",
        "the event writer",
        imitated_events,
    );
    harness.end();
}

/// Makes the guest return one malformed result.
fn return_malformed(ors: &OrsClient, number: usize, fate: ResultKind) -> String {
    let input = json!({ "n": number });
    match fate {
        NoValue => act_faults(ors, "malformed", input, "env_invalid_output"),
        InvalidOutput => act_is_invalid(ors, "malformed", input, "env_invalid_output"),
        Valid => {
            let session = open(ors, "malformed");
            let output = session.call("act", input).output();
            assert!(output["blocks"].is_array(), "{output}");
            "a result".to_owned()
        }
    }
}

fn rewards(ors: &OrsClient) -> String {
    for reward in [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1 + 0.2,
        1e308,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::EPSILON,
        1.0 / 3.0,
        123_456_789.123_456_79,
        9_007_199_254_740_993.0,
    ] {
        let session = ors.open("alpha", TaskSelector::At("train", 0));
        let output = session.call("reward", json!({ "reward": reward })).output();
        let returned = output["reward"].as_f64().expect("a number");
        assert_eq!(returned.to_bits(), reward.to_bits(), "{reward:e}");
    }
    "14 rewards unchanged".to_owned()
}

fn imitated_events(ors: &OrsClient) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    for text in [
        "a\n\nevent: end\ndata: {\"ok\":true}\n\n",
        "a\r\n\r\nevent: error\r\ndata: x\r\n\r\n",
        "\rdata: x\r\r",
        ": a comment\n\n",
        "id: 1\nretry: 1\n",
        "\u{feff}data: x",
        "\u{2028}\u{2029}\u{85}\u{0b}\u{0c}",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "</script><script>alert(1)</script>",
        "\u{202e}drawer\u{0}",
        "\n\n\n",
    ] {
        // The long form is split into chunks.
        for text in [text.to_owned(), text.repeat(2000)] {
            let call = session.call("echo", json!({ "text": text }));
            let names = call.names();
            assert!(
                names.first() == Some(&"task_id")
                    && names.last() == Some(&"end")
                    && names[1..names.len() - 1]
                        .iter()
                        .all(|name| *name == "chunk"),
                "{names:?}"
            );
            assert!(call.text() == text, "{text:?}");
            let failed = session.call("fail", json!({ "message": text }));
            assert_eq!(failed.names().last(), Some(&"error"));
        }
    }
    "each text unchanged, in one event or its chunks".to_owned()
}
