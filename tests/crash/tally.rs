//! What is counted, and the verdict.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Stories of failures that are kept.
const TOLD: usize = 20;

/// A number that many threads add to.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
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

/// Everything that happened.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) kills: Count,
    pub(crate) kills_at_start: Count,
    pub(crate) sessions: Count,
    pub(crate) forked: Count,
    pub(crate) calls: Count,
    pub(crate) resumed: Count,
    pub(crate) resent: Count,
    pub(crate) resent_with_key: Count,
    pub(crate) created_again: Count,
    pub(crate) told_to_wait: Count,
    pub(crate) rewards: Count,
    // What must not be.
    pub(crate) lost_sessions: Count,
    pub(crate) lost_calls: Count,
    pub(crate) twice: Count,
    pub(crate) out_of_turn: Count,
    pub(crate) came_back: Count,
    pub(crate) other_rewards: Count,
    stories: Mutex<Vec<String>>,
}

impl Tally {
    /// Notes a failure in words.
    pub(crate) fn tell(&self, story: String) {
        let mut stories = self.stories.lock().unwrap_or_else(PoisonError::into_inner);
        if stories.len() < TOLD {
            stories.push(story);
        }
    }

    /// What must not be, by name.
    fn failures(&self) -> [(&'static str, &Count); 6] {
        [
            ("lost sessions", &self.lost_sessions),
            ("lost acknowledged calls", &self.lost_calls),
            ("calls run twice", &self.twice),
            ("calls out of turn", &self.out_of_turn),
            ("deleted sessions that came back", &self.came_back),
            ("final rewards that differ", &self.other_rewards),
        ]
    }

    /// Whether nothing went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures().iter().all(|(_, count)| count.get() == 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: &Count| writeln!(f, "{name:<44}{:>10}", count.get());
        line("kills", &self.kills)?;
        line(
            "  of them while the host was starting",
            &self.kills_at_start,
        )?;
        line("sessions", &self.sessions)?;
        line("  of them forked", &self.forked)?;
        line("calls acknowledged", &self.calls)?;
        line("calls resumed by id", &self.resumed)?;
        line("calls sent again without an id", &self.resent)?;
        line("  of them with a key", &self.resent_with_key)?;
        line("creations sent again", &self.created_again)?;
        line("requests told to come again (503)", &self.told_to_wait)?;
        line("final rewards as in the undisturbed run", &self.rewards)?;
        for (name, count) in self.failures() {
            line(name, count)?;
        }
        let stories = self.stories.lock().unwrap_or_else(PoisonError::into_inner);
        for story in stories.iter() {
            writeln!(f, "  - {story}")?;
        }
        Ok(())
    }
}
