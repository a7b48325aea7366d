//! Attacks on memory: as much as possible, in as many memories as possible, by as
//! many sessions as possible.

use orwd_tests::background::run_concurrently;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, fresh_id};
use serde_json::json;

use crate::guests::{WatGuest, wat_guest};
use crate::harness::{
    ATTACKER_SESSIONS, AttackHarness, ProcessStats, act_answers, act_faults, call_faulted,
    component_refused,
};

const FLAGS: [&str; 4] = ["--memory", "16MiB", "--tables", "50000"];

/// The memory limit of a session in bytes.
const LIMIT: u64 = 16 << 20;

const PAGE: u64 = 64 << 10;

/// Grows all of these by `step` until none grows any more, and returns the sum.
fn grow_all(grow: &[String], step: u32) -> String {
    let tries: String = grow
        .iter()
        .map(|one| {
            format!(
                "(if (i32.ne (i32.const -1) {one}) (then
                   (local.set $i (i32.const 1))
                   (local.set $j (i32.add (local.get $j) (i32.const {step})))))\n"
            )
        })
        .collect();
    format!(
        "(loop $again
           (local.set $i (i32.const 0))
           {tries}
           (br_if $again (local.get $i)))
         (return (call $tell (local.get $j)))"
    )
}

/// Returns a guest with `count` extra memories, each in its own instance.
fn memories(name: &str, count: usize) -> WatGuest {
    memories_that(name, count, |grow| format!("({grow} (i32.const 4))"))
}

/// The same, but each growth follows one that cannot succeed: a failed growth
/// must not refund what others were charged.
fn memories_that_overreach(name: &str, count: usize) -> WatGuest {
    memories_that(name, count, |grow| {
        format!(
            "(block (result i32)
               (drop ({grow} (i32.const 65536)))
               ({grow} (i32.const 4)))"
        )
    })
}

fn memories_that(name: &str, count: usize, step: impl Fn(&str) -> String) -> WatGuest {
    let mut made = wat_guest(name).with(
        "before",
        "(core module $extra
           (memory 1)
           (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))",
    );
    let mut grow = vec![step("memory.grow")];
    for number in 0..count {
        made = made
            .with(
                "before",
                format!("(core instance $extra{number} (instantiate $extra))"),
            )
            .with(
                "with",
                format!("(with \"extra{number}\" (instance $extra{number}))"),
            )
            .with(
                "imports",
                format!(
                    "(import \"extra{number}\" \"grow\"
                       (func $grow{number} (param i32) (result i32)))"
                ),
            );
        grow.push(step(&format!("call $grow{number}")));
    }
    made.act(grow_all(&grow, 4))
}

/// Returns a guest with `count` tables.
fn tables(name: &str, count: usize) -> WatGuest {
    let mut made = wat_guest(name);
    for number in 0..count {
        made = made.with("module", format!("(table $t{number} 1 funcref)"));
    }
    let grow: Vec<String> = (0..count)
        .map(|number| format!("(table.grow $t{number} (ref.null func) (i32.const 500))"))
        .collect();
    made.act(grow_all(&grow, 500))
}

fn guests() -> Vec<WatGuest> {
    vec![
        memories("one-memory", 0),
        memories("seven-memories", 6),
        memories_that_overreach("seven-memories-that-overreach", 6),
        tables("one-table", 1),
        tables("four-tables", 4),
        wat_guest("grow-and-give-up")
            .act("(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))")
            .act("unreachable"),
        wat_guest("grow-tables-and-give-up")
            .with("module", "(table $t 1 funcref)")
            .act(
                "(loop $on (br_if $on (i32.ne (i32.const -1)
                   (table.grow $t (ref.null func) (i32.const 500)))))",
            )
            .act("unreachable"),
    ]
}

/// Returns components that exceed the limits at instantiation: the attack, the
/// component, a part of the error.
fn oversized() -> Vec<(&'static str, WatGuest, &'static str)> {
    let grow_at_start = "(func $begin
           (loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
           unreachable)
         (start $begin)";
    vec![
        (
            "a declared memory above the limit",
            wat_guest("declared-memory").with("pages", "4096"),
            "memory",
        ),
        (
            "a declared table above the limit",
            wat_guest("declared-table").with("module", "(table 10000000 funcref)"),
            "table",
        ),
        ("forty memories", memories("forty-memories", 39), "memories"),
        (
            "a memory that grows in a start function",
            wat_guest("grow-in-start").with("start", grow_at_start),
            "limit_memory",
        ),
        (
            "a memory of 64 bits",
            wat_guest("memory64").with("module", "(memory $far i64 1)"),
            "memory",
        ),
        (
            "a table of 64 bits",
            wat_guest("table64").with("module", "(table i64 1 funcref)"),
            "table",
        ),
        (
            "a shared memory",
            wat_guest("shared-memory").with("module", "(memory $shared 1 1 shared)"),
            "shared",
        ),
    ]
}

#[test]
fn memory() {
    let files: Vec<_> = guests().iter().map(WatGuest::file).collect();
    let mut harness = AttackHarness::new("memory", &["hostile"], &files, &FLAGS);

    harness.case(
        "endless memory growth, compiled from Rust",
        "memory",
        |ors| act_faults(ors, "hostile", json!({"how": "eat_memory"}), "limit_memory"),
    );
    harness.case("endless memory growth, then a trap", "memory", |ors| {
        act_faults(ors, "grow-and-give-up", json!({}), "limit_memory")
    });
    harness.case("endless table growth, then a trap", "tables", |ors| {
        act_faults(ors, "grow-tables-and-give-up", json!({}), "limit_memory")
    });
    for guest in [
        "one-memory",
        "seven-memories",
        "seven-memories-that-overreach",
    ] {
        harness.case(
            &format!("{guest}, grown to the limit"),
            "memory, as a sum",
            |ors| {
                let pages: u64 = act_answers(ors, guest, json!({}))
                    .parse()
                    .expect("a number");
                let bytes = pages * PAGE;
                // Nearly all of the limit, and not a byte more.
                assert!(bytes <= LIMIT && bytes > LIMIT / 2, "{bytes} bytes");
                format!(
                    "growth refused after {} KiB; the session continued",
                    bytes >> 10
                )
            },
        );
    }
    for guest in ["one-table", "four-tables"] {
        harness.case(
            &format!("{guest}, grown to the limit"),
            "tables, as a sum",
            |ors| {
                let elements: u64 = act_answers(ors, guest, json!({}))
                    .parse()
                    .expect("a number");
                assert!((25_000..=50_000).contains(&elements), "{elements}");
                format!("growth refused after {elements} elements; the session continued")
            },
        );
    }
    for (attack, guest, part) in oversized() {
        let file = guest.file();
        harness.case(attack, "refused before it is served", |_| {
            component_refused(&file, &FLAGS, &[part])
        });
    }

    let count = ATTACKER_SESSIONS / 2;
    let pid = harness.server().pid();
    harness.case(
        &format!("{count} sessions that exhaust memory at once"),
        "memory, each its own",
        |ors| {
            let before = ProcessStats::of(pid).memory;
            let message = run_concurrently((0..count).map(|_| {
                let ors = ors.clone();
                move || {
                    let session = ors.open("hostile", TaskSelector::Spec(json!({})));
                    let call = session.call("act", json!({"how": "eat_memory"}));
                    call_faulted(&session, &call, "limit_memory")
                }
            }));
            let most = before + count as u64 * LIMIT + (32 << 20);
            let peak = ProcessStats::of(pid).memory;
            assert!(peak <= most, "{peak} bytes");
            message.into_iter().next().expect("at least one")
        },
    );
    harness.case(
        "as many memories as possible, in as many sessions as possible",
        "the pool's memories, fewer than eight per session",
        every_memory,
    );
    harness.end();
}

/// Opens sessions of seven memories until the pool is full: then creation gets a
/// 503, and the existing sessions work.
fn every_memory(ors: &OrsClient) -> String {
    let task = TaskSelector::Spec(json!({})).body("seven-memories");
    let mut held: Vec<SessionClient> = Vec::new();
    loop {
        let id = fresh_id();
        let answer = ors.create(&id, &task);
        if answer.status() == 200 {
            held.push(ors.session("seven-memories", &id));
            assert!(held.len() <= ATTACKER_SESSIONS, "the pool is never full");
            continue;
        }
        let message = error_detail(&answer, 503);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        for session in &held {
            assert_eq!(session.call("fine", json!({})).text(), "fine");
        }
        return format!("503 {message} after {} sessions", held.len());
    }
}
