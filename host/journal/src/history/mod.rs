//! Histories of episodes: whole ones, and record by record.

mod episode_history;
mod scan;

pub use episode_history::{EpisodeHistory, EpisodeStep, StepOutcome};
pub use scan::{ScannedRecord, drop_content};
pub(crate) use scan::{read_history, scan};
