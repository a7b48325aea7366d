//! Totals of an episode.

use super::client::CallOutcome;
use crate::console::CommandStatus;

/// Calls, rewards and end of an episode.
#[derive(Debug, Default)]
pub(super) struct EpisodeSummary {
    pub(super) calls: usize,
    pub(super) rewards: Vec<f64>,
    pub(super) finished: bool,
}

impl EpisodeSummary {
    /// Adds a call.
    pub(super) fn add(&mut self, outcome: &CallOutcome) {
        self.calls += 1;
        if let CallOutcome::Output(output) = outcome {
            self.rewards.extend(output.reward);
            self.finished |= output.finished;
        }
    }

    pub(super) fn status(&self) -> CommandStatus {
        if self.finished {
            CommandStatus::Success
        } else {
            CommandStatus::Unfinished
        }
    }
}
