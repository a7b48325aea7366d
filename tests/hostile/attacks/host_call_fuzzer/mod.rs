//! A fuzzer of host calls: a guest that makes the host calls of a script, with
//! any handles, pointers and sizes.
//!
//! A seed determines a script of calls, most of them valid, so that they reach
//! deep into the host, and some invalid. Every script ends with a result or a
//! named fault of the guest, never with an error of the host, and the data
//! directory is never changed. A failure prints the seed, which is enough to
//! repeat it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{OrsClient, TaskSelector};
use orwd_tests::test_dir::TestDir;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::guests::{WatGuest, wat_guest};
use crate::harness::{AttackHarness, quick_or_soak};

const FLAGS: [&str; 16] = [
    "--call-cpu",
    "200ms",
    "--call-wall",
    "300ms",
    "--memory",
    "8MiB",
    "--disk",
    "256KiB",
    "--files",
    "50",
    "--open-files",
    "20",
    "--handles",
    "100",
    "--guest-log-limit",
    "1KiB",
];

const IMPORTS: &str = include_str!("imports.wat");

/// Host calls: the instance, the function, and one letter per parameter: `d`,
/// `p`, `i`, `o`, `e` and `w` are handles of that kind, `q` a list of one
/// pollable, `n` a number, `f` flags or an enum, `s` bytes or a text, `t` a
/// time, `r` the address of the result. After `>` follows the kind of handle in
/// the result; after `:` the direct return value: a handle of that kind, or `f`
/// or `l` for a number.
const CALLS: &[(&str, &str, &str)] = &[
    ("preopens", "get-directories", "r"),
    ("io-poll", "[method]pollable.ready", "p:f"),
    ("io-poll", "[method]pollable.block", "p"),
    ("io-poll", "poll", "qr"),
    ("streams", "[method]input-stream.read", "inr"),
    ("streams", "[method]input-stream.blocking-read", "inr"),
    ("streams", "[method]input-stream.skip", "inr"),
    ("streams", "[method]input-stream.blocking-skip", "inr"),
    ("streams", "[method]input-stream.subscribe", "i:p"),
    ("streams", "[method]output-stream.check-write", "or"),
    ("streams", "[method]output-stream.write", "osr"),
    (
        "streams",
        "[method]output-stream.blocking-write-and-flush",
        "osr",
    ),
    ("streams", "[method]output-stream.flush", "or"),
    ("streams", "[method]output-stream.blocking-flush", "or"),
    ("streams", "[method]output-stream.subscribe", "o:p"),
    ("streams", "[method]output-stream.write-zeroes", "onr"),
    (
        "streams",
        "[method]output-stream.blocking-write-zeroes-and-flush",
        "onr",
    ),
    ("streams", "[method]output-stream.splice", "oinr"),
    ("streams", "[method]output-stream.blocking-splice", "oinr"),
    ("wall", "now", "r"),
    ("wall", "resolution", "r"),
    ("monotonic", "now", ":l"),
    ("monotonic", "resolution", ":l"),
    ("monotonic", "subscribe-instant", "n:p"),
    ("monotonic", "subscribe-duration", "n:p"),
    ("random", "get-random-bytes", "nr"),
    ("random", "get-random-u64", ":l"),
    ("insecure", "get-insecure-random-bytes", "nr"),
    ("insecure", "get-insecure-random-u64", ":l"),
    ("seed", "insecure-seed", "r"),
    ("cli-environment", "get-environment", "r"),
    ("cli-environment", "get-arguments", "r"),
    ("cli-environment", "initial-cwd", "r"),
    ("stdin", "get-stdin", ":i"),
    ("stdout", "get-stdout", ":o"),
    ("stderr", "get-stderr", ":o"),
    ("files", "[method]descriptor.read-via-stream", "dnr>i"),
    ("files", "[method]descriptor.write-via-stream", "dnr>o"),
    ("files", "[method]descriptor.append-via-stream", "dr>o"),
    ("files", "[method]descriptor.advise", "dnnfr"),
    ("files", "[method]descriptor.sync", "dr"),
    ("files", "[method]descriptor.get-flags", "dr"),
    ("files", "[method]descriptor.get-type", "dr"),
    ("files", "[method]descriptor.set-size", "dnr"),
    ("files", "[method]descriptor.set-times", "dttr"),
    ("files", "[method]descriptor.read", "dnnr"),
    ("files", "[method]descriptor.write", "dsnr"),
    ("files", "[method]descriptor.read-directory", "dr>e"),
    ("files", "[method]descriptor.create-directory-at", "dsr"),
    ("files", "[method]descriptor.stat", "dr"),
    ("files", "[method]descriptor.stat-at", "dfsr"),
    ("files", "[method]descriptor.set-times-at", "dfsttr"),
    ("files", "[method]descriptor.link-at", "dfsdsr"),
    ("files", "[method]descriptor.open-at", "dfsffr>d"),
    ("files", "[method]descriptor.readlink-at", "dsr"),
    ("files", "[method]descriptor.remove-directory-at", "dsr"),
    ("files", "[method]descriptor.rename-at", "dsdsr"),
    ("files", "[method]descriptor.symlink-at", "dssr"),
    ("files", "[method]descriptor.unlink-file-at", "dsr"),
    ("files", "[method]descriptor.is-same-object", "dd:f"),
    ("files", "[method]descriptor.metadata-hash", "dr"),
    ("files", "[method]descriptor.metadata-hash-at", "dfsr"),
    (
        "files",
        "[method]directory-entry-stream.read-directory-entry",
        "er",
    ),
    ("instance-network", "instance-network", ":w"),
    ("tcp-create", "create-tcp-socket", "fr"),
    ("lookup", "resolve-addresses", "wsr"),
    // The third list is read as headers.
    ("http", "send", "ssssr"),
    ("http", "start", "ssssr"),
    ("http", "wait", "r"),
    ("http", "cancel", "f"),
];

/// The kinds of handles: letter and type.
const KINDS: [(char, &str); 6] = [
    ('d', "descriptor"),
    ('p', "pollable"),
    ('i', "input-stream"),
    ('o', "output-stream"),
    ('e', "entries"),
    ('w', "net"),
];

/// Returns the index of a kind.
fn kind_index(letter: char) -> Option<usize> {
    KINDS.iter().position(|(known, _)| *known == letter)
}

/// Texts in the guest's memory, for paths and other texts.
const TEXTS: [&str; 24] = [
    "a",
    "b",
    "c/d",
    "a/b",
    "train.csv",
    "below",
    "below/deep.txt",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "",
    "a/",
    "a//b",
    "./a",
    "a/../b",
    "link",
    "link/x",
    "below/..",
    "x\\y",
    "\u{e9}",
    "a\0b",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    "below/../../../../../../../../etc/passwd",
];

/// The address of the texts, and the distance between two.
const TEXT: u64 = 24_576;
const TEXT_STRIDE: u64 = 128;

/// The address of the tables of handles, one per kind, and the distance between
/// two. Each starts with the number of its handles.
const HANDLES: u64 = 20_480;
const HANDLES_STRIDE: u64 = 256;

/// The address of results.
const RESULT: u64 = 4096;

/// Returns the core code for these parameters: the type of the function, the
/// reads of the arguments from the script, and the handling of the result.
fn core_code(parameters: &str) -> (String, String, String) {
    let (given, gives) = parameters.split_once(':').unwrap_or((parameters, ""));
    let (given, holds) = given.split_once('>').unwrap_or((given, ""));
    let (mut types, mut takes) = (String::new(), String::new());
    for letter in given.chars() {
        for wide in widths(letter) {
            types.push_str(if *wide { " i64" } else { " i32" });
            takes.push_str(if *wide {
                "(call $take)"
            } else {
                "(i32.wrap_i64 (call $take))"
            });
        }
    }
    let keep = |letters: &str| letters.chars().next().and_then(kind_index);
    let result = match gives {
        "" => "",
        "l" => "(result i64)",
        _ => "(result i32)",
    };
    let after = match (keep(gives), keep(holds)) {
        (Some(row), _) => format!("(i32.const {row}) (call $keep)"),
        (None, Some(row)) => format!(
            "(if (i32.eqz (i32.load8_u (i32.const 4096))) (then
               (call $keep (i32.load (i32.const 4100)) (i32.const {row}))))"
        ),
        (None, None) if result.is_empty() => String::new(),
        (None, None) => "drop".to_owned(),
    };
    (format!("(param{types}) {result}"), takes, after)
}

/// Returns the core values of a parameter, true for 64 bits.
fn widths(letter: char) -> &'static [bool] {
    match letter {
        'n' => &[true],
        's' | 'q' => &[false, false],
        't' => &[false, true, false],
        _ => &[false],
    }
}

fn fuzzer() -> WatGuest {
    let mut made = wat_guest("fuzzer").with("before", IMPORTS);
    let mut moves = String::new();
    for (number, (instance, function, parameters)) in CALLS.iter().enumerate() {
        let (shape, takes, after) = core_code(parameters);
        made = made
            .with(
                "before",
                format!(
                    "(core func $call{number} (canon lower (func ${instance} \"{function}\")
                       (memory $memory) (realloc $spare)))"
                ),
            )
            .with(
                "lent",
                format!("(export \"{number}\" (func $call{number}))"),
            )
            .with(
                "imports",
                format!("(import \"host\" \"{number}\" (func $call{number} {shape}))"),
            );
        // Directories are returned as a list of pairs of handle and name.
        let after = if *function == "get-directories" {
            "(if (i32.load (i32.const 4100)) (then
               (call $keep (i32.load (i32.load (i32.const 4096))) (i32.const 0))))
             (if (i32.gt_u (i32.load (i32.const 4100)) (i32.const 1)) (then
               (call $keep (i32.load offset=12 (i32.load (i32.const 4096))) (i32.const 0))))"
        } else {
            &after
        };
        let _ = writeln!(
            moves,
            "(if (i32.eq (local.get $move) (i32.const {number})) (then
               {takes} (call $call{number}) {after}))"
        );
    }
    for (index, (_, kind)) in KINDS.iter().enumerate() {
        let number = CALLS.len() + index;
        made = made
            .with(
                "before",
                format!("(core func $call{number} (canon resource.drop ${kind}))"),
            )
            .with(
                "lent",
                format!("(export \"{number}\" (func $call{number}))"),
            )
            .with(
                "imports",
                format!("(import \"host\" \"{number}\" (func $call{number} (param i32)))"),
            );
        let _ = writeln!(
            moves,
            "(if (i32.eq (local.get $move) (i32.const {number})) (then
               (call $call{number} (i32.wrap_i64 (call $take)))
               (call $forget)))"
        );
    }
    for (number, text) in TEXTS.iter().enumerate() {
        let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        made = made.with(
            "data",
            format!(
                "(data (i32.const {}) \"{bytes}\")",
                TEXT + number as u64 * TEXT_STRIDE
            ),
        );
    }
    made.with(
        "module",
        format!(
            "(global $next (mut i32) (i32.const 0))
             (global $row (mut i32) (i32.const 0))
             (global $slot (mut i32) (i32.const 0))
             (func $nibble (result i32)
               (local $digit i32)
               (local.set $digit (i32.load8_u (global.get $next)))
               (global.set $next (i32.add (global.get $next) (i32.const 1)))
               (if (result i32) (i32.gt_u (local.get $digit) (i32.const 57))
                 (then (i32.sub (local.get $digit) (i32.const 87)))
                 (else (i32.sub (local.get $digit) (i32.const 48)))))
             (func $byte (result i32)
               (i32.or (i32.shl (call $nibble) (i32.const 4)) (call $nibble)))
             ;; Returns the address of the table of a kind of handles.
             (func $count (param $kind i32) (result i32)
               (i32.add (i32.const {HANDLES})
                 (i32.mul (local.get $kind) (i32.const {HANDLES_STRIDE}))))
             ;; Reads a value of the script: a literal, or a stored handle.
             (func $take (result i64)
               (local $kind i32) (local $left i32) (local $value i64) (local $row i32)
               (local.set $kind (call $byte))
               (local.set $left (i32.const 8))
               (loop $more
                 (local.set $value (i64.or
                   (i64.shl (local.get $value) (i64.const 8))
                   (i64.extend_i32_u (call $byte))))
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $more (local.get $left)))
               (if (i32.eqz (local.get $kind)) (then (return (local.get $value))))
               (local.set $row (call $count (i32.sub (local.get $kind) (i32.const 1))))
               (global.set $row (local.get $row))
               (global.set $slot (i32.add (i32.add (local.get $row) (i32.const 4))
                 (i32.mul (i32.const 4)
                   (i32.rem_u (i32.wrap_i64 (local.get $value)) (i32.load (local.get $row))))))
               (i64.extend_i32_u (i32.load (global.get $slot))))
             (func $keep (param $handle i32) (param $kind i32) (local $row i32)
               (local.set $row (call $count (local.get $kind)))
               (if (i32.lt_u (i32.load (local.get $row)) (i32.const 60)) (then
                 (i32.store (local.get $row)
                   (i32.add (i32.load (local.get $row)) (i32.const 1)))
                 (i32.store
                   (i32.add (local.get $row)
                     (i32.mul (i32.load (local.get $row)) (i32.const 4)))
                   (local.get $handle)))))
             ;; Removes the last read handle; the last of its kind replaces it.
             (func $forget
               (if (global.get $row) (then
                 (i32.store (global.get $slot)
                   (i32.load (i32.add (global.get $row)
                     (i32.mul (i32.load (global.get $row)) (i32.const 4)))))
                 (i32.store (global.get $row)
                   (i32.sub (i32.load (global.get $row)) (i32.const 1))))))
             ;; Runs a step: the call, the number of its values, and a bit mask of
             ;; the kinds of handles that it needs; it is skipped without them.
             (func $step (local $move i32) (local $values i32) (local $needs i32) (local $i i32)
               (local.set $move (call $byte))
               (local.set $values (call $byte))
               (local.set $needs (call $byte))
               (global.set $row (i32.const 0))
               (loop $next-kind
                 (if (i32.and (i32.shr_u (local.get $needs) (local.get $i)) (i32.const 1)) (then
                   (if (i32.eqz (i32.load (call $count (local.get $i)))) (then
                     (global.set $next (i32.add (global.get $next)
                       (i32.mul (local.get $values) (i32.const 18))))
                     (return)))))
                 (local.set $i (i32.add (local.get $i) (i32.const 1)))
                 (br_if $next-kind (i32.lt_u (local.get $i) (i32.const 8))))
               {moves})"
        ),
    )
    // The script is in the input: {{\"ops\":\"…\"}}.
    .act(
        "(global.set $next (i32.add (local.get $input) (i32.const 8)))
         (block $end (loop $more
           (br_if $end (i32.ge_u (global.get $next)
             (i32.add (local.get $input) (i32.sub (local.get $size) (i32.const 2)))))
           (call $step)
           (br $more)))",
    )
}

/// Edge cases of numbers.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    255,
    4096,
    65_535,
    65_536,
    1 << 20,
    i32::MAX as u64,
    1 << 31,
    u32::MAX as u64,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// Returns the script of a seed.
fn script(seed: u64) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut script = String::new();
    for step in 0..random.random_range(1..60) {
        let number = match step {
            // Most start with a directory.
            0 if random.random_range(0..8) > 0 => 0,
            0 => random.random_range(0..CALLS.len()),
            _ if random.random_range(0..10) == 0 => {
                CALLS.len() + random.random_range(0..KINDS.len())
            }
            _ => random.random_range(0..CALLS.len()),
        };
        let parameters = match CALLS.get(number) {
            Some((_, _, parameters)) => (*parameters).to_owned(),
            None => KINDS[number - CALLS.len()].0.to_string(),
        };
        let given = parameters.split([':', '>']).next().unwrap_or_default();
        let mut needs = 0_u8;
        // Values, each with 0 for a literal or the kind of handle plus one.
        let mut values: Vec<(usize, u64)> = Vec::new();
        for letter in given.chars() {
            let edge = EDGES[random.random_range(0..EDGES.len())];
            // Few of the values that end a guest at once.
            if random.random_range(0..150) == 0 {
                values.extend(widths(letter).iter().map(|_| (0, edge)));
                continue;
            }
            if let Some(kind) = kind_index(letter) {
                needs |= 1 << kind;
                values.push((kind + 1, random.random_range(0..64)));
                continue;
            }
            match letter {
                'q' => {
                    let kind = kind_index('p').expect("a kind");
                    needs |= 1 << kind;
                    values.extend([(0, HANDLES + kind as u64 * HANDLES_STRIDE + 4), (0, 1)]);
                }
                'n' if random.random_range(0..3) > 0 => {
                    values.push((0, random.random_range(0..5000)));
                }
                'n' => values.push((0, edge)),
                'f' => values.push((0, random.random_range(0..4))),
                's' => {
                    let text = random.random_range(0..TEXTS.len());
                    values.push((0, TEXT + text as u64 * TEXT_STRIDE));
                    values.push((0, TEXTS[text].len() as u64));
                }
                't' => {
                    let nanoseconds = random.random_range(0..1_000_000_001);
                    values.extend([(0, random.random_range(0..3)), (0, edge), (0, nanoseconds)]);
                }
                _ => values.push((0, RESULT)),
            }
        }
        let _ = write!(script, "{number:02x}{:02x}{needs:02x}", values.len());
        for (kind, value) in values {
            let _ = write!(script, "{kind:02x}{value:016x}");
        }
    }
    script
}

/// Plays the scripts of a seed; returns `results` or the code of a fault.
fn play(ors: &OrsClient, seed: u64) -> String {
    let session = ors.open("fuzzer", TaskSelector::Spec(json!({})));
    // Several scripts in one session, until a fault ends it.
    for part in 0..3 {
        let input = json!({"ops": script(seed * 3 + part)});
        let call = session.call("act", input);
        match call.names().last() {
            Some(&"end") => assert_eq!(call.text(), "fine"),
            _ => {
                let code = call
                    .error()
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let guests = code.starts_with("limit_") || code == "env_trap";
                assert!(
                    guests || code == "env_invalid_output",
                    "seed {seed}, part {part}: {}",
                    call.error()
                );
                assert_eq!(session.delete().status(), 200);
                return code;
            }
        }
    }
    assert_eq!(session.delete().status(), 200);
    "results".to_owned()
}

#[test]
fn host_call_fuzzer() {
    let scratch = TestDir::new();
    scratch.write("fuzzer/data/train.csv", "1,2\n".repeat(5000));
    scratch.write("fuzzer/data/below/deep.txt", "deep");
    let data = scratch.path().join("fuzzer/data");
    std::os::unix::fs::symlink("train.csv", data.join("link")).expect("a link");
    scratch.copy("fuzzer/fuzzer.wasm", &fuzzer().file());
    scratch.write("fuzzer/orwd.toml", "name = \"fuzzer\"\ndata = \"data\"\n");
    let before = listing(&data);
    let folder = scratch.path().join("fuzzer");
    let mut harness = AttackHarness::new("host-call-fuzzer", &[], &[folder], &FLAGS);
    let (cases, seeds) = quick_or_soak((4, 60), (40, 1000));
    for case in 0..cases {
        let first = case * seeds;
        harness.case(
            &format!("random host calls, seeds {first} to {}", first + seeds - 1),
            "the first limit or fault of each script",
            |ors| {
                let lanes = 4;
                let ends = run_concurrently((0..lanes).map(|lane| {
                    let ors = ors.clone();
                    move || {
                        (first..first + seeds)
                            .filter(|seed| seed % lanes == lane)
                            .map(|seed| play(&ors, seed))
                            .collect::<Vec<String>>()
                    }
                }));
                let mut counts: BTreeMap<String, usize> = BTreeMap::new();
                for end in ends.into_iter().flatten() {
                    *counts.entry(end).or_default() += 1;
                }
                // Scripts that always fail would show nothing.
                assert!(counts.contains_key("results"), "{counts:?}");
                format!("{counts:?}")
            },
        );
        assert_eq!(listing(&data), before, "the data directory was changed");
    }
    harness.end();
}

/// Returns every file of a directory with its content.
fn listing(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.to_str().expect("UTF-8").to_owned();
        if path.is_dir() {
            all.extend(listing(&path));
        } else {
            all.insert(name, fs::read(&path).expect("a file"));
        }
    }
    all
}
