//! A short crash test: enough to notice broken durability, and to show that the
//! crash test would notice it.

// The modules are shared with the program `crash`.
#[path = "client.rs"]
mod client;
#[path = "commit_watch.rs"]
mod commit_watch;
#[path = "expected_chain.rs"]
mod expected_chain;
#[path = "judge.rs"]
mod judge;
#[path = "run.rs"]
mod run;
#[path = "run_client.rs"]
mod run_client;
#[path = "script.rs"]
mod script;
#[path = "tally.rs"]
mod tally;

use std::time::Duration;

use crate::run::{CrashPlan, run};
use crate::tally::CrashTally;

fn killed(kills: u64, durability: &str) -> CrashTally {
    killed_with(kills, durability, false)
}

fn killed_with(kills: u64, durability: &str, judge: bool) -> CrashTally {
    let plan = CrashPlan {
        kills,
        seed: 1,
        // Longer than the kills take; the number of kills is asserted below.
        time: Duration::from_secs(600),
        sessions: 8,
        durability: durability.to_owned(),
        uptime: Duration::from_millis(1500),
        judge,
    };
    let tally = run(&plan, |_| {});
    assert!(tally.kills.get() >= kills, "{tally}");
    tally
}

/// Kills a host with this durability and checks that it kept everything.
fn loses_and_repeats_nothing(kills: u64, durability: &str) -> CrashTally {
    let tally = killed(kills, durability);
    assert!(tally.is_clean(), "{durability}:\n{tally}");
    assert!(tally.rewards.get() > 0, "{tally}");
    let recovered = tally.resumed.get() + tally.resent.get();
    assert!(recovered > 0, "no kill hit a call: {tally}");
    tally
}

#[test]
fn a_killed_host_loses_nothing_and_repeats_nothing() {
    let tally = loses_and_repeats_nothing(16, "process");
    assert!(tally.kills_at_commit.get() > 0, "{tally}");
}

#[test]
fn a_killed_host_that_syncs_loses_nothing_and_repeats_nothing() {
    loses_and_repeats_nothing(3, "power");
}

#[test]
fn a_killed_host_asks_a_model_at_most_once_and_replays_with_the_network_off() {
    let tally = killed_with(4, "process", true);
    assert!(tally.is_clean(), "{tally}");
    assert!(tally.asked.get() > 0, "{tally}");
}

#[test]
fn a_host_without_durability_fails_the_crash_test() {
    let tally = killed(2, "none");
    assert!(tally.lost_sessions.get() > 0, "{tally}");
    assert!(!tally.is_clean(), "{tally}");
    // The failures are not only missing forks.
    assert!(tally.to_string().contains("404"), "{tally}");
}
