//! More sessions than the memory has places for. Those of the attacker push each
//! other out; the canary stays where it is.

use serde_json::json;

use orwd_tests::later::all_at_once;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};

use crate::arena::{Arena, open};
use crate::guests::guest;
use crate::quick_or_soak;

/// Sessions that there may be, most of them asleep.
const OPEN: usize = 400;

const FLAGS: [&str; 6] = [
    "--max-open-sessions",
    "400",
    "--hibernate-after",
    "5m",
    "--create-rate",
    "1000000",
];

/// Calls of a session with a costly past, and how far each counts: a tenth of
/// a second or so.
const PAST: usize = 5;
const LABOUR: u32 = 100_000_000;

/// As many sessions of the attacker as there may be.
fn all(ors: &Ors) -> Vec<Session> {
    all_but(ors, 0)
}

fn all_but(ors: &Ors, few: usize) -> Vec<Session> {
    (1..OPEN - few)
        .map(|_| ors.open("alpha", Task::At("train", 0)))
        .collect()
}

#[test]
fn crowd() {
    let labour = guest("labour").act(
        "(loop $on
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           (br_if $on (local.get $n)))",
    );
    let mut arena = Arena::new("crowd", &[], &[labour.file()], &FLAGS);
    arena.case(
        "more sessions than there are places",
        "max-open-sessions; before that, the attacker's own make room",
        |ors| {
            let held = all(ors);
            let id = fresh_id();
            let refused = ors.create(&id, &Task::At("train", 0).body("alpha"));
            assert_eq!(refused.status(), 503, "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
            drop(held);
            format!("503 after {} sessions", OPEN - 1)
        },
    );
    let rounds = quick_or_soak(2, 20);
    arena.case(
        &format!("each of them called in turn, {rounds} times"),
        "nothing: each comes back as it was, in the place of another of the attacker's",
        |ors| {
            let held = all(ors);
            for round in 1..=rounds {
                for session in &held {
                    let count = session.call("bump", json!({})).text();
                    assert_eq!(count, round.to_string());
                }
            }
            format!("{} right answers", rounds * held.len())
        },
    );
    let labours = quick_or_soak(12, 32);
    arena.case(
        &format!("{labours} sessions with a costly past, all wanted back at once"),
        "turns: those of one key wait for each other, and the processors are shared",
        |ors| {
            let long: Vec<Session> = (0..labours).map(|_| open(ors, "labour")).collect();
            for session in &long {
                for _ in 0..PAST {
                    session.call("act", json!({"n": LABOUR}));
                }
            }
            // Others need their places.
            let others = all_but(ors, labours);
            let phase = |session: &Session| {
                let seen = ors.get(&format!("/orwd/sessions/{}", session.id()));
                seen.json()["state"].as_str().map(str::to_owned)
            };
            assert!(
                long.iter()
                    .all(|one| phase(one).as_deref() == Some("asleep"))
            );
            let fine = all_at_once(long.iter().map(|session| {
                let session = ors.session("labour", session.id());
                move || {
                    let answer = session.call("fine", json!({})).text();
                    session.forget();
                    answer
                }
            }));
            assert!(fine.iter().all(|answer| answer == "fine"), "{fine:?}");
            drop(others);
            format!("{} right answers", fine.len())
        },
    );
    arena.end();
}
