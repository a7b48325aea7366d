//! Attacks on memory: as much as there is, in as many pieces as there may be,
//! by as many sessions as there are places.

use orwd_tests::expect::detail;
use orwd_tests::later::all_at_once;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};
use serde_json::json;

use crate::arena::{Arena, PLACES};
use crate::guests::{Guest, guest};
use crate::provoke::{act, answers, faulted, refused};
use crate::vitals::Vitals;

const FLAGS: [&str; 4] = ["--memory", "16MiB", "--tables", "50000"];

/// Bytes of the memory that a session may have.
const LIMIT: u64 = 16 << 20;

const PAGE: u64 = 64 << 10;

/// Grows all of these until none grows any more, by `step` each, and tells the
/// sum of what it got.
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

/// A guest with so many memories besides its own, each in an instance of its
/// own.
pub fn memories(name: &str, count: usize) -> Guest {
    memories_that(name, count, |grow| format!("({grow} (i32.const 4))"))
}

/// The same, where each growth comes after one of more pages than there can
/// be: what fails must not give back what others were charged.
fn memories_that_overreach(name: &str, count: usize) -> Guest {
    memories_that(name, count, |grow| {
        format!(
            "(block (result i32)
               (drop ({grow} (i32.const 65536)))
               ({grow} (i32.const 4)))"
        )
    })
}

fn memories_that(name: &str, count: usize, step: impl Fn(&str) -> String) -> Guest {
    let mut made = guest(name).with(
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

/// A guest with so many tables, besides none.
fn tables(name: &str, count: usize) -> Guest {
    let mut made = guest(name);
    for number in 0..count {
        made = made.with("module", format!("(table $t{number} 1 funcref)"));
    }
    let grow: Vec<String> = (0..count)
        .map(|number| format!("(table.grow $t{number} (ref.null func) (i32.const 500))"))
        .collect();
    made.act(grow_all(&grow, 500))
}

fn guests() -> Vec<Guest> {
    vec![
        memories("one-memory", 0),
        memories("seven-memories", 6),
        memories_that_overreach("seven-memories-that-overreach", 6),
        tables("one-table", 1),
        tables("four-tables", 4),
        guest("grow-and-give-up")
            .act("(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))")
            .act("unreachable"),
        guest("grow-tables-and-give-up")
            .with("module", "(table $t 1 funcref)")
            .act(
                "(loop $on (br_if $on (i32.ne (i32.const -1)
                   (table.grow $t (ref.null func) (i32.const 500)))))",
            )
            .act("unreachable"),
    ]
}

/// Components that want more than they may from the beginning: the attack, the
/// component, what the operator is told.
fn greedy() -> Vec<(&'static str, Guest, &'static str)> {
    let grow_at_start = "(func $begin
           (loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
           unreachable)
         (start $begin)";
    vec![
        (
            "a memory declared larger than may be",
            guest("declared-memory").with("pages", "4096"),
            "memory",
        ),
        (
            "a table declared larger than may be",
            guest("declared-table").with("module", "(table 10000000 funcref)"),
            "table",
        ),
        ("forty memories", memories("forty-memories", 39), "memories"),
        (
            "a memory that grows in a start function",
            guest("grow-in-start").with("start", grow_at_start),
            "limit_memory",
        ),
        (
            "a memory of 64 bits",
            guest("memory64").with("module", "(memory $far i64 1)"),
            "memory",
        ),
        (
            "a table of 64 bits",
            guest("table64").with("module", "(table i64 1 funcref)"),
            "table",
        ),
        (
            "a shared memory",
            guest("shared-memory").with("module", "(memory $shared 1 1 shared)"),
            "shared",
        ),
    ]
}

#[test]
fn memory() {
    let files: Vec<_> = guests().iter().map(Guest::file).collect();
    let mut arena = Arena::new("memory", &["hostile"], &files, &FLAGS);

    arena.case("memory without end, compiled from Rust", "memory", |ors| {
        act(ors, "hostile", json!({"how": "eat_memory"}), "limit_memory")
    });
    arena.case("memory without end, then a trap", "memory", |ors| {
        act(ors, "grow-and-give-up", json!({}), "limit_memory")
    });
    arena.case("tables without end, then a trap", "tables", |ors| {
        act(ors, "grow-tables-and-give-up", json!({}), "limit_memory")
    });
    for guest in [
        "one-memory",
        "seven-memories",
        "seven-memories-that-overreach",
    ] {
        arena.case(
            &format!("{guest}, grown as far as they go"),
            "memory, the sum of all",
            |ors| {
                let pages: u64 = answers(ors, guest, json!({})).parse().expect("a number");
                let bytes = pages * PAGE;
                // Not a byte more, and nearly all of it.
                assert!(bytes <= LIMIT && bytes > LIMIT / 2, "{bytes} bytes");
                format!(
                    "growth refused after {} KiB; the session went on",
                    bytes >> 10
                )
            },
        );
    }
    for guest in ["one-table", "four-tables"] {
        arena.case(
            &format!("{guest}, grown as far as they go"),
            "tables, the sum of all",
            |ors| {
                let elements: u64 = answers(ors, guest, json!({})).parse().expect("a number");
                assert!((25_000..=50_000).contains(&elements), "{elements}");
                format!("growth refused after {elements} elements; the session went on")
            },
        );
    }
    for (attack, guest, part) in greedy() {
        let file = guest.file();
        arena.case(attack, "refused before it is served", |_| {
            refused(&file, &FLAGS, &[part])
        });
    }

    let crowd = PLACES / 2;
    let pid = arena.server().pid();
    arena.case(
        &format!("{crowd} sessions that eat at once"),
        "memory, each its own",
        |ors| {
            let before = Vitals::of(pid).memory;
            let told = all_at_once((0..crowd).map(|_| {
                let ors = ors.clone();
                move || {
                    let session = ors.open("hostile", Task::Spec(json!({})));
                    let call = session.call("act", json!({"how": "eat_memory"}));
                    faulted(&session, &call, "limit_memory")
                }
            }));
            let most = before + crowd as u64 * LIMIT + (32 << 20);
            let peak = Vitals::of(pid).memory;
            assert!(peak <= most, "{peak} bytes");
            told.into_iter().next().expect("one at least")
        },
    );
    arena.case(
        "as many memories as may be, in as many sessions as may be",
        "places for memories, fewer than eight a session",
        every_memory,
    );
    arena.end();
}

/// Opens sessions of seven memories until there is no place: no other answer
/// than that, and those that there are work.
fn every_memory(ors: &Ors) -> String {
    let task = Task::Spec(json!({})).body("seven-memories");
    let mut held: Vec<Session> = Vec::new();
    loop {
        let id = fresh_id();
        let answer = ors.create(&id, &task);
        if answer.status() == 200 {
            held.push(ors.session("seven-memories", &id));
            assert!(held.len() < PLACES, "there is no end to the places");
            continue;
        }
        let told = detail(&answer, 503);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        for session in &held {
            assert_eq!(session.call("fine", json!({})).text(), "fine");
        }
        return format!("503 {told} after {} sessions", held.len());
    }
}
