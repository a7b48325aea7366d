//! Attacks on time: guests that compute or wait forever, in every function that
//! the host calls, and many of them at once.

use std::time::{Duration, Instant};

use orwd_tests::background::{BackgroundTask, run_concurrently};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{OrsClient, TaskSelector};
use serde_json::json;

use crate::guests::{WatGuest, wat_guest, with_clock};
use crate::harness::{
    ATTACKER_SESSIONS, AttackHarness, act_answers, act_faults, call_faulted, component_refused,
    create_fails, quick_or_soak, setup_fails,
};

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

const SPIN: &str = "(loop $forever (br $forever))";

/// Endless loops in functions that are easily overlooked: the guest, and how the
/// loop is reached.
fn loops() -> Vec<(WatGuest, &'static str)> {
    let spin = |name: &str, placeholder| wat_guest(name).with(placeholder, SPIN);
    vec![
        (spin("spin-in-open", "open"), "open"),
        (spin("spin-in-setup", "setup"), "setup"),
        (spin("spin-in-prompt", "prompt"), "setup"),
        (
            // The first argument to be passed is that of `open`.
            spin("spin-in-realloc", "realloc"),
            "open",
        ),
        (
            // Armed by `act` only, so that the description still succeeds.
            wat_guest("spin-in-post-return")
                .with("module", "(global $armed (mut i32) (i32.const 0))")
                .act("(global.set $armed (i32.const 1))")
                .with("post", format!("(if (global.get $armed) (then {SPIN}))")),
            "act",
        ),
        (
            wat_guest("fill-memory-forever").act(
                "(drop (memory.grow (i32.const 64)))
                 (loop $forever
                   (memory.fill (i32.const 65536) (i32.const 7) (i32.const 4194304))
                   (br $forever))",
            ),
            "act",
        ),
        (
            wat_guest("copy-memory-forever").act(
                "(drop (memory.grow (i32.const 64)))
                 (loop $forever
                   (memory.copy (i32.const 65536) (i32.const 65544) (i32.const 4190000))
                   (br $forever))",
            ),
            "act",
        ),
        (
            // One instruction that takes many time slices.
            wat_guest("fill-much-memory-forever").act(
                "(drop (memory.grow (i32.const 3072)))
                 (loop $forever
                   (memory.fill (i32.const 65536) (i32.const 7) (i32.const 201326592))
                   (br $forever))",
            ),
            "act",
        ),
        (
            with_clock("read-the-clock-forever")
                .act("(loop $forever (drop (call $now)) (br $forever))"),
            "act",
        ),
        (
            wat_guest("call-each-other-forever")
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

fn guests() -> Vec<WatGuest> {
    let mut all: Vec<WatGuest> = loops().into_iter().map(|(guest, _)| guest).collect();
    all.extend([
        wat_guest("spin-in-teardown").with("teardown", SPIN),
        wat_guest("trap-in-teardown").with("teardown", "unreachable"),
        with_clock("sleep-in-teardown").with(
            "teardown",
            "(call $block (call $subscribe-duration (i64.const -1)))",
        ),
        wat_guest("spin-in-destructor")
            .with(
                "before",
                format!(
                    "(core module $undo (func (export \"undo\") (param i32) {SPIN}))
                     (core instance $undo (instantiate $undo))
                     (alias core export $undo \"undo\" (core func $undo))"
                ),
            )
            .with("destructor", "(dtor (func $undo))"),
        with_clock("sleep").act("(call $block (call $subscribe-duration (i64.const -1)))"),
        with_clock("poll").act(
            ";; A list with the same timer $n times; it never fires.
             (local.set $j (call $allocate (i32.mul (local.get $n) (i32.const 4))))
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
        with_clock("timers").act(
            ";; $n timers at once, all polled.
             (local.set $j (call $allocate (i32.mul (local.get $n) (i32.const 4))))
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
        with_clock("churn").act(
            ";; $n timers in sequence.
             (block $end (loop $next
               (br_if $end (i32.eqz (local.get $n)))
               (local.set $n (i32.sub (local.get $n) (i32.const 1)))
               (call $forget (call $subscribe-duration (i64.const -1)))
               (br $next)))",
        ),
        wat_guest("recurse")
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
        with_clock("recurse-with-host-calls")
            .with(
                "module",
                "(func $deeper (param $n i64) (result i64)
                   (i64.add (call $now) (call $deeper (call $now))))",
            )
            .act("(drop (call $deeper (i64.const 0)))"),
        wat_guest("trap-in-open").with("open", "unreachable"),
        wat_guest("spin-with-number").act(SPIN),
    ]);
    all
}

#[test]
fn time() {
    let files: Vec<_> = guests().iter().map(WatGuest::file).collect();
    let mut harness = AttackHarness::new("time", &["hostile"], &files, &FLAGS);

    harness.case("a loop in a tool, compiled from Rust", "call-cpu", |ors| {
        act_faults(ors, "hostile", json!({"how": "loop"}), "limit_cpu")
    });
    for (guest, place) in loops() {
        let name = guest.name().to_owned();
        let stops = match place {
            "act" => "call-cpu",
            "open" => "setup-cpu",
            _ => "setup-cpu or call-cpu",
        };
        harness.case(&name, stops, |ors| match place {
            "open" => create_fails(ors, &name, json!({}), "limit_cpu"),
            "setup" => setup_fails(ors, &name, json!({}), "limit_cpu"),
            _ => act_faults(ors, &name, json!({}), "limit_cpu"),
        });
    }
    for (name, file) in [
        (
            "a loop in a start function",
            wat_guest("spin-in-start")
                .with("start", format!("(func $begin {SPIN}) (start $begin)")),
        ),
        (
            "a loop in the description",
            wat_guest("spin-in-describe").with("describe", SPIN),
        ),
    ] {
        let file = file.file();
        harness.case(
            name,
            "the probe instance, under setup-cpu or call-cpu",
            |_| component_refused(&file, &FLAGS, &["limit_cpu"]),
        );
    }
    for (guest, stops) in [
        ("spin-in-teardown", "teardown-cpu"),
        ("trap-in-teardown", "the trap"),
        ("sleep-in-teardown", "teardown-wall"),
        ("spin-in-destructor", "teardown-cpu"),
    ] {
        harness.case(guest, stops, |ors| {
            let session = ors.open(guest, TaskSelector::Spec(json!({})));
            assert_eq!(session.call("fine", json!({})).text(), "fine");
            let begin = Instant::now();
            assert_eq!(session.delete().status(), 200);
            assert_eq!(session.ping().status(), 404);
            format!("200, deleted within {} ms", begin.elapsed().as_millis())
        });
    }

    harness.case("a timer of five hundred years", "call-wall", |ors| {
        act_faults(ors, "sleep", json!({}), "limit_wall")
    });
    harness.case("a sleep of days, compiled from Rust", "call-wall", |ors| {
        act_faults(
            ors,
            "hostile",
            json!({"how": "sleep_forever"}),
            "limit_wall",
        )
    });
    harness.case("polling an empty list", "the host refuses it", |ors| {
        act_faults(ors, "poll", json!({"n": 0}), "env_invalid_output")
    });
    harness.case("polling 500 timers that never fire", "call-wall", |ors| {
        act_faults(ors, "timers", json!({"n": 500}), "limit_wall")
    });
    harness.case("a million timers", "handles", |ors| {
        act_faults(ors, "timers", json!({"n": 1_000_000}), "limit_handles")
    });
    harness.case(
        "polling one timer, a million times in the list",
        "handles, borrowed ones included",
        |ors| act_faults(ors, "poll", json!({"n": 1_000_000}), "limit_handles"),
    );
    let many = quick_or_soak(10_000, 1_000_000);
    harness.case(
        "timers created and dropped in a loop",
        "nothing: none stays behind",
        |ors| {
            (0..quick_or_soak(5, 50))
                .map(|_| act_answers(ors, "churn", json!({ "n": many / 10 })))
                .next_back()
                .expect("at least one")
        },
    );
    harness.case("recursion through a table", "the guest's stack", |ors| {
        act_faults(ors, "recurse", json!({}), "env_trap")
    });
    harness.case(
        "recursion with a host call at every depth",
        "the guest's stack",
        |ors| act_faults(ors, "recurse-with-host-calls", json!({}), "env_trap"),
    );

    // A time slice is two milliseconds: this number of loops on two threads
    // delays the canary by a tenth of a second on a quiet machine.
    let count = quick_or_soak(ATTACKER_SESSIONS / 3, ATTACKER_SESSIONS - 7);
    harness.case(
        &format!("{count} loops at once"),
        "call-cpu, each its own",
        |ors| at_once(ors, "spin-with-number", count),
    );
    harness.case(
        "8 guests at once that rarely check the clock",
        "call-cpu; an overdue turn delays nobody else",
        |ors| at_once(ors, "fill-much-memory-forever", 8),
    );
    harness.case(
        &format!("{count} sleeping guests at once"),
        "call-wall",
        |ors| at_once(ors, "sleep", count),
    );
    harness.case(
        "loops on every thread during requests for /health",
        "fair scheduling",
        health,
    );
    let times = quick_or_soak(300, 10_000);
    harness.case(
        &format!("{times} creations that trap"),
        "the trap, each",
        |ors| {
            let mut error = String::new();
            for _ in 0..times {
                error = create_fails(ors, "trap-in-open", json!({}), "env_trap");
            }
            error
        },
    );
    harness.end();
}

/// Makes `count` sessions misbehave at the same time.
fn at_once(ors: &OrsClient, guest: &'static str, count: usize) -> String {
    let errors = run_concurrently((0..count).map(|_| {
        let ors = ors.clone();
        move || {
            let session = ors.open(guest, TaskSelector::Spec(json!({})));
            let call = session.call("act", json!({}));
            // Waiting for a CPU is no wall time, however many there are.
            let sleeps = guest == "sleep";
            call_faulted(
                &session,
                &call,
                if sleeps { "limit_wall" } else { "limit_cpu" },
            )
        }
    }));
    errors.into_iter().next().expect("at least one")
}

/// Measures the slowest `/health` response while more guests loop than there
/// are threads.
fn health(ors: &OrsClient) -> String {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let attack = {
        let ors = ors.clone();
        BackgroundTask::spawn(move || at_once(&ors, "spin-with-number", 4 * cores))
    };
    let mut longest = Duration::ZERO;
    while !attack.is_finished() {
        let begin = Instant::now();
        assert_eq!(ors.fetch(&HttpRequest::get("/health")).status(), 200);
        longest = longest.max(begin.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = attack.join();
    assert!(longest < Duration::from_secs(1), "/health took {longest:?}");
    format!("{error}; /health within {} ms", longest.as_millis())
}
