//! More open sessions than session slots. The attacker's sessions evict each
//! other; the canary stays resident.

use serde_json::json;

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, fresh_id};

use crate::guests::wat_guest;
use crate::harness::{AttackHarness, open, quick_or_soak};

/// The open sessions that the attacker's key gets of those below, most of them
/// hibernated. The rest is left for others.
const OPEN: usize = 399;

const FLAGS: [&str; 6] = [
    "--max-open-sessions",
    "499",
    "--hibernate-after",
    "5m",
    "--create-rate",
    "1000000",
];

/// The number of calls that a replay has to repeat, and the iterations of each:
/// about a tenth of a second.
const PAST: usize = 5;
const ITERATIONS: u32 = 100_000_000;

/// Opens as many sessions of the attacker as possible.
fn all(ors: &OrsClient) -> Vec<SessionClient> {
    all_but(ors, 0)
}

fn all_but(ors: &OrsClient, few: usize) -> Vec<SessionClient> {
    (0..OPEN - few)
        .map(|_| ors.open("alpha", TaskSelector::At("train", 0)))
        .collect()
}

#[test]
fn oversubscription() {
    let slow_guest = wat_guest("slow").act(
        "(loop $on
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           (br_if $on (local.get $n)))",
    );
    let mut harness = AttackHarness::new("oversubscription", &[], &[slow_guest.file()], &FLAGS);
    harness.case(
        "more sessions than slots",
        "max-open-sessions; below it, the attacker's own sessions are evicted",
        |ors| {
            let held = all(ors);
            let id = fresh_id();
            let refused = ors.create(&id, &TaskSelector::At("train", 0).body("alpha"));
            assert_eq!(refused.status(), 503, "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
            drop(held);
            format!("503 after {OPEN} sessions")
        },
    );
    let rounds = quick_or_soak(2, 20);
    harness.case(
        &format!("each of them called in turn, {rounds} times"),
        "nothing: each is resumed, and another of the attacker's is evicted",
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
    let sessions = quick_or_soak(12, 32);
    harness.case(
        &format!("{sessions} sessions with a slow replay, all called at once"),
        "fair scheduling: replays of one key run in sequence",
        |ors| {
            let long: Vec<SessionClient> = (0..sessions).map(|_| open(ors, "slow")).collect();
            for session in &long {
                for _ in 0..PAST {
                    session.call("act", json!({"n": ITERATIONS}));
                }
            }
            // Evicts them.
            let others = all_but(ors, sessions);
            let phase = |session: &SessionClient| {
                let seen = ors.get(&format!("/orwd/sessions/{}", session.id()));
                seen.json()["state"].as_str().map(str::to_owned)
            };
            assert!(
                long.iter()
                    .all(|one| phase(one).as_deref() == Some("asleep"))
            );
            let fine = run_concurrently(long.iter().map(|session| {
                let session = ors.session("slow", session.id());
                move || {
                    let answer = session.call("fine", json!({})).text();
                    session.leave_open();
                    answer
                }
            }));
            assert!(fine.iter().all(|answer| answer == "fine"), "{fine:?}");
            drop(others);
            format!("{} right answers", fine.len())
        },
    );
    harness.end();
}
