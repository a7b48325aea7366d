//! Runs and rollouts that clients log.

mod difficulty;
mod event;
mod ingest;
mod queries;

pub use difficulty::{DifficultyQuery, ResponseChars, TaskDifficulty, task_difficulty};
pub use event::{MessageEvent, RolloutEvent, RolloutStart, UpdateEvent};
pub use ingest::ingest;
pub use queries::{RolloutRecord, RunRecord, messages_of, rollout, rollouts_of, run, runs};
