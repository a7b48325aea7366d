//! Attacks on time: guests that compute or wait for ever, wherever the host
//! enters them, and many of them at once.

use std::time::{Duration, Instant};

use orwd_tests::http::Request;
use orwd_tests::later::{Later, all_at_once};
use orwd_tests::ors::{Ors, Task};
use serde_json::json;

use crate::arena::{Arena, PLACES};
use crate::guests::{Guest, guest};
use crate::provoke::{act, answers, faulted, refused, unopened, unready};
use crate::quick_or_soak;

const FLAGS: [&str; 12] = [
    "--call-cpu",
    "300ms",
    "--call-wall",
    "5s",
    "--setup-cpu",
    "300ms",
    "--setup-wall",
    "5s",
    "--teardown-cpu",
    "300ms",
    "--teardown-wall",
    "1s",
];

const SPIN: &str = "(loop $for-ever (br $for-ever))";

/// Looping in places that are easily forgotten: the place, how it is reached.
fn loops() -> Vec<(Guest, &'static str)> {
    let spin = |name: &str, hole| guest(name).with(hole, SPIN);
    vec![
        (spin("spin-in-open", "open"), "open"),
        (spin("spin-in-setup", "setup"), "setup"),
        (spin("spin-in-prompt", "prompt"), "setup"),
        (
            // The first argument of all is that of `open`.
            spin("spin-in-realloc", "realloc"),
            "open",
        ),
        (
            // Only what is called by number, lest describing ends as well.
            guest("spin-in-post-return")
                .with("module", "(global $armed (mut i32) (i32.const 0))")
                .act("(global.set $armed (i32.const 1))")
                .with("post", format!("(if (global.get $armed) (then {SPIN}))")),
            "act",
        ),
        (
            guest("fill-memory-for-ever").act(
                "(drop (memory.grow (i32.const 64)))
                 (loop $for-ever
                   (memory.fill (i32.const 65536) (i32.const 7) (i32.const 4194304))
                   (br $for-ever))",
            ),
            "act",
        ),
        (
            guest("copy-memory-for-ever").act(
                "(drop (memory.grow (i32.const 64)))
                 (loop $for-ever
                   (memory.copy (i32.const 65536) (i32.const 65544) (i32.const 4190000))
                   (br $for-ever))",
            ),
            "act",
        ),
        (
            clock("read-the-clock-for-ever")
                .act("(loop $for-ever (drop (call $now)) (br $for-ever))"),
            "act",
        ),
        (
            guest("call-each-other-for-ever")
                .with(
                    "module",
                    "(type $step (func))
                     (table 2 funcref) (elem (i32.const 0) $ping $pong)
                     (func $ping (loop $l (call_indirect (type $step) (i32.const 1)) (br $l)))
                     (func $pong)",
                )
                .act("(call $ping)"),
            "act",
        ),
    ]
}

/// A guest with the monotonic clock and polling.
pub fn clock(name: &str) -> Guest {
    guest(name)
        .import(
            "wasi:io/poll@0.2.0",
            r#"(export "pollable" (type $p (sub resource)))
               (export "[method]pollable.block" (func (param "self" (borrow $p))))
               (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))"#,
            &[
                ("[method]pollable.block", "(param i32)"),
                ("poll", "(param i32 i32 i32)"),
            ],
        )
        .with(
            "before",
            "(alias export $wasi-io-poll \"pollable\" (type $pollable))
             (core func $drop-pollable (canon resource.drop $pollable))",
        )
        .with("lent", "(export \"forget\" (func $drop-pollable))")
        .with(
            "imports",
            "(import \"host\" \"forget\" (func $forget (param i32)))",
        )
        .import(
            "wasi:clocks/monotonic-clock@0.2.0",
            r#"(alias outer $environment $pollable (type $p))
               (export "pollable" (type $q (eq $p)))
               (export "now" (func (result u64)))
               (export "subscribe-duration" (func (param "when" u64) (result (own $q))))"#,
            &[
                ("now", "(result i64)"),
                ("subscribe-duration", "(param i64) (result i32)"),
            ],
        )
}

fn guests() -> Vec<Guest> {
    let mut all: Vec<Guest> = loops().into_iter().map(|(guest, _)| guest).collect();
    all.extend([
        guest("spin-in-teardown").with("teardown", SPIN),
        guest("trap-in-teardown").with("teardown", "unreachable"),
        clock("sleep-in-teardown").with(
            "teardown",
            "(call $block (call $subscribe-duration (i64.const -1)))",
        ),
        guest("spin-in-destructor")
            .with(
                "before",
                format!(
                    "(core module $undo (func (export \"undo\") (param i32) {SPIN}))
                     (core instance $undo (instantiate $undo))
                     (alias core export $undo \"undo\" (core func $undo))"
                ),
            )
            .with("destructor", "(dtor (func $undo))"),
        clock("sleep").act("(call $block (call $subscribe-duration (i64.const -1)))"),
        clock("poll").act(
            ";; A list of so many times the same timer, which never comes.
             (local.set $j (call $room (i32.mul (local.get $n) (i32.const 4))))
             (local.set $i (call $subscribe-duration (i64.const -1)))
             (block $end (loop $next
               (br_if $end (i32.eqz (local.get $n)))
               (local.set $n (i32.sub (local.get $n) (i32.const 1)))
               (i32.store
                 (i32.add (local.get $j) (i32.mul (local.get $n) (i32.const 4)))
                 (local.get $i))
               (br $next)))
             (call $poll (local.get $j)
               (call $number (local.get $input) (local.get $size)) (i32.const 4096))",
        ),
        clock("timers").act(
            ";; So many timers at once, all waited for.
             (local.set $j (call $room (i32.mul (local.get $n) (i32.const 4))))
             (block $end (loop $next
               (br_if $end (i32.eqz (local.get $n)))
               (local.set $n (i32.sub (local.get $n) (i32.const 1)))
               (i32.store
                 (i32.add (local.get $j) (i32.mul (local.get $n) (i32.const 4)))
                 (call $subscribe-duration (i64.const -1)))
               (br $next)))
             (call $poll (local.get $j)
               (call $number (local.get $input) (local.get $size)) (i32.const 4096))",
        ),
        clock("churn").act(
            ";; So many timers one after another.
             (block $end (loop $next
               (br_if $end (i32.eqz (local.get $n)))
               (local.set $n (i32.sub (local.get $n) (i32.const 1)))
               (call $forget (call $subscribe-duration (i64.const -1)))
               (br $next)))",
        ),
        guest("recurse")
            .with(
                "module",
                "(type $step (func (param i64) (result i64)))
                 (table 1 funcref) (elem (i32.const 0) $deeper)
                 (func $deeper (param $n i64) (result i64)
                   (i64.add (local.get $n)
                     (call_indirect (type $step)
                       (i64.add (local.get $n) (i64.const 1)) (i32.const 0))))",
            )
            .act("(drop (call $deeper (i64.const 0)))"),
        clock("recurse-with-host-calls")
            .with(
                "module",
                "(func $deeper (param $n i64) (result i64)
                   (i64.add (call $now) (call $deeper (call $now))))",
            )
            .act("(drop (call $deeper (i64.const 0)))"),
        guest("trap-in-open").with("open", "unreachable"),
        guest("spin-with-number").act(SPIN),
    ]);
    all
}

#[test]
fn time() {
    let files: Vec<_> = guests().iter().map(Guest::file).collect();
    let mut arena = Arena::new("time", &["hostile"], &files, &FLAGS);

    arena.case("a loop in a tool, compiled from Rust", "call-cpu", |ors| {
        act(ors, "hostile", json!({"how": "loop"}), "limit_cpu")
    });
    for (guest, place) in loops() {
        let name = guest.name().to_owned();
        let stops = match place {
            "act" => "call-cpu",
            "open" => "setup-cpu",
            _ => "setup-cpu or call-cpu",
        };
        arena.case(&name, stops, |ors| match place {
            "open" => unopened(ors, &name, json!({}), "limit_cpu"),
            "setup" => unready(ors, &name, json!({}), "limit_cpu"),
            _ => act(ors, &name, json!({}), "limit_cpu"),
        });
    }
    for (name, file) in [
        (
            "a loop in a start function",
            guest("spin-in-start").with("start", format!("(func $begin {SPIN}) (start $begin)")),
        ),
        (
            "a loop where it describes itself",
            guest("spin-in-describe").with("describe", SPIN),
        ),
    ] {
        let file = file.file();
        arena.case(name, "a trial instance under setup-cpu or call-cpu", |_| {
            refused(&file, &FLAGS, &["limit_cpu"])
        });
    }
    for (guest, stops) in [
        ("spin-in-teardown", "teardown-cpu"),
        ("trap-in-teardown", "the trap"),
        ("sleep-in-teardown", "teardown-wall"),
        ("spin-in-destructor", "teardown-cpu"),
    ] {
        arena.case(guest, stops, |ors| {
            let session = ors.open(guest, Task::Spec(json!({})));
            assert_eq!(session.call("fine", json!({})).text(), "fine");
            let begin = Instant::now();
            assert_eq!(session.delete().status(), 200);
            assert_eq!(session.ping().status(), 404);
            format!("200, deleted within {} ms", begin.elapsed().as_millis())
        });
    }

    arena.case("a timer of five hundred years", "call-wall", |ors| {
        act(ors, "sleep", json!({}), "limit_wall")
    });
    arena.case("a sleep of days, compiled from Rust", "call-wall", |ors| {
        act(
            ors,
            "hostile",
            json!({"how": "sleep_forever"}),
            "limit_wall",
        )
    });
    arena.case(
        "polling nothing at all",
        "the host, which refuses it",
        |ors| act(ors, "poll", json!({"n": 0}), "env_invalid_output"),
    );
    arena.case("polling 500 timers that never come", "call-wall", |ors| {
        act(ors, "timers", json!({"n": 500}), "limit_wall")
    });
    arena.case("a million timers", "handles", |ors| {
        act(ors, "timers", json!({"n": 1_000_000}), "limit_handles")
    });
    arena.case(
        "polling one timer, a million times in the list",
        "handles, borrowed ones included",
        |ors| act(ors, "poll", json!({"n": 1_000_000}), "limit_handles"),
    );
    let many = quick_or_soak(10_000, 1_000_000);
    arena.case(
        "timers made and dropped without end",
        "nothing: none is left",
        |ors| {
            (0..quick_or_soak(5, 50))
                .map(|_| answers(ors, "churn", json!({ "n": many / 10 })))
                .next_back()
                .expect("one at least")
        },
    );
    arena.case("recursion through a table", "the guest's stack", |ors| {
        act(ors, "recurse", json!({}), "env_trap")
    });
    arena.case(
        "recursion with a host call at every depth",
        "the guest's stack",
        |ors| act(ors, "recurse-with-host-calls", json!({}), "env_trap"),
    );

    // Turns are of two milliseconds: so many loops on two threads keep the
    // canary waiting for a tenth of a second on a quiet machine.
    let crowd = quick_or_soak(PLACES / 3, PLACES - 8);
    arena.case(
        &format!("{crowd} loops at once"),
        "call-cpu or call-wall, each its own",
        |ors| at_once(ors, "spin-with-number", crowd),
    );
    arena.case(&format!("{crowd} sleepers at once"), "call-wall", |ors| {
        at_once(ors, "sleep", crowd)
    });
    arena.case(
        "loops on every thread, and asking for /health",
        "fair turns",
        health,
    );
    let times = quick_or_soak(300, 10_000);
    arena.case(
        &format!("{times} creations that trap"),
        "the trap, each",
        |ors| {
            let mut told = String::new();
            for _ in 0..times {
                told = unopened(ors, "trap-in-open", json!({}), "env_trap");
            }
            told
        },
    );
    arena.end();
}

/// So many sessions that all misbehave at the same time.
fn at_once(ors: &Ors, guest: &'static str, count: usize) -> String {
    let told = all_at_once((0..count).map(|_| {
        let ors = ors.clone();
        move || {
            let session = ors.open(guest, Task::Spec(json!({})));
            let call = session.call("act", json!({}));
            // Who shares two threads with so many may meet the clock first.
            let cpu = call.error().starts_with("limit_cpu");
            faulted(
                &session,
                &call,
                if cpu { "limit_cpu" } else { "limit_wall" },
            )
        }
    }));
    told.into_iter().next().expect("one at least")
}

/// The longest that `/health` took while more guests looped than there are
/// threads for them.
fn health(ors: &Ors) -> String {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let attack = {
        let ors = ors.clone();
        Later::run(move || at_once(&ors, "spin-with-number", 4 * cores))
    };
    let mut longest = Duration::ZERO;
    while !attack.is_done() {
        let begin = Instant::now();
        assert_eq!(ors.ask(&Request::get("/health")).status(), 200);
        longest = longest.max(begin.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    let told = attack.get();
    assert!(longest < Duration::from_secs(1), "/health took {longest:?}");
    format!("{told}; /health within {} ms", longest.as_millis())
}
