//! The crash test in a minute, as a part of the tests: enough to see that
//! durability is not broken, and that the test would see it.

// Its parts are shared with the long form.
#[path = "chain.rs"]
mod chain;
#[path = "player.rs"]
mod player;
#[path = "run.rs"]
mod run;
#[path = "script.rs"]
mod script;
#[path = "tally.rs"]
mod tally;
#[path = "wire.rs"]
mod wire;

use std::time::Duration;

use crate::run::{Plan, run};
use crate::tally::Tally;

fn killed(kills: u64, durability: &str) -> Tally {
    let plan = Plan {
        kills,
        seed: 1,
        // Longer than it takes; the test says how many there were.
        time: Duration::from_secs(600),
        sessions: 8,
        durability: durability.to_owned(),
        uptime: Duration::from_millis(1500),
    };
    let tally = run(&plan, |_| {});
    assert!(tally.kills.get() >= kills, "{tally}");
    tally
}

#[test]
fn a_host_that_is_killed_loses_nothing_and_repeats_nothing() {
    for (kills, durability) in [(10, "process"), (3, "power")] {
        let tally = killed(kills, durability);
        assert!(tally.is_clean(), "{durability}:\n{tally}");
        assert!(tally.rewards.get() > 0, "{tally}");
        let again = tally.resumed.get() + tally.resent.get();
        assert!(again > 0, "no kill hit a call: {tally}");
    }
}

#[test]
fn a_host_that_keeps_nothing_is_found_out() {
    let tally = killed(2, "none");
    assert!(tally.lost_sessions.get() > 0, "{tally}");
    assert!(!tally.is_clean(), "{tally}");
    // And not only since there are no forks.
    assert!(tally.to_string().contains("says 404"), "{tally}");
}
