//! Runs and rollouts that clients log.

mod bounds;
mod difficulty;
mod event;
mod ingest;
mod queries;
#[cfg(test)]
mod tests;

pub use difficulty::{DifficultyQuery, ResponseChars, TaskDifficulty, task_difficulty};
pub use event::{MessageEvent, RolloutEvent, RolloutStart, UpdateEvent};
pub use ingest::ingest;
pub use queries::{
    MessagePage, RolloutRecord, RunRecord, messages_of, rollout, rollouts_of, run, runs,
};
