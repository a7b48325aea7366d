//! The counters of a run, and its verdict.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The number of failure descriptions that are kept.
const MAX_FAILURES: usize = 20;

/// A counter that is shared by threads.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters of a run.
#[derive(Default)]
pub(crate) struct CrashTally {
    pub(crate) kills: Counter,
    pub(crate) kills_at_start: Counter,
    pub(crate) kills_at_commit: Counter,
    pub(crate) sessions: Counter,
    pub(crate) forked: Counter,
    pub(crate) calls: Counter,
    pub(crate) resumed: Counter,
    pub(crate) resent: Counter,
    pub(crate) resent_with_key: Counter,
    pub(crate) created_again: Counter,
    pub(crate) told_to_wait: Counter,
    pub(crate) rewards: Counter,
    pub(crate) asked: Counter,
    // Failures.
    pub(crate) lost_sessions: Counter,
    pub(crate) lost_calls: Counter,
    pub(crate) twice: Counter,
    pub(crate) out_of_turn: Counter,
    pub(crate) came_back: Counter,
    pub(crate) other_rewards: Counter,
    pub(crate) asked_twice: Counter,
    pub(crate) other_replays: Counter,
    descriptions: Mutex<Vec<String>>,
}

impl CrashTally {
    /// Records a description of a failure.
    pub(crate) fn describe(&self, description: String) {
        let mut descriptions = self
            .descriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if descriptions.len() < MAX_FAILURES {
            descriptions.push(description);
        }
    }

    /// Returns the failure counters by name.
    fn failures(&self) -> [(&'static str, &Counter); 8] {
        [
            ("lost sessions", &self.lost_sessions),
            ("lost acknowledged calls", &self.lost_calls),
            ("calls run twice", &self.twice),
            ("calls out of order", &self.out_of_turn),
            ("deleted sessions that came back", &self.came_back),
            ("final rewards that differ", &self.other_rewards),
            ("requests to the model sent twice", &self.asked_twice),
            ("replays that differ", &self.other_replays),
        ]
    }

    /// Returns whether there was no failure.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures().iter().all(|(_, count)| count.get() == 0)
    }
}

impl fmt::Display for CrashTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: &Counter| writeln!(f, "{name:<44}{:>10}", count.get());
        line("kills", &self.kills)?;
        line(
            "  of them while the host was starting",
            &self.kills_at_start,
        )?;
        line("  of them right after a commit", &self.kills_at_commit)?;
        line("sessions", &self.sessions)?;
        line("  of them forked", &self.forked)?;
        line("calls acknowledged", &self.calls)?;
        line("calls resumed by id", &self.resumed)?;
        line("calls resent without an id", &self.resent)?;
        line("  of them with a key", &self.resent_with_key)?;
        line("creations resent", &self.created_again)?;
        line("requests that got a 503", &self.told_to_wait)?;
        line("final rewards as in the undisturbed run", &self.rewards)?;
        if self.asked.get() > 0 {
            line("requests to the model", &self.asked)?;
        }
        for (name, count) in self.failures() {
            line(name, count)?;
        }
        let descriptions = self
            .descriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for description in descriptions.iter() {
            writeln!(f, "  - {description}")?;
        }
        Ok(())
    }
}
