//! Histories of episodes: whole ones, in pages, and record by record.

mod episode_history;
mod pages;
mod scan;

pub use episode_history::{EpisodeHistory, EpisodeStep, StepExchange, StepOutcome};
pub use pages::EpisodePages;
pub use scan::{ScannedRecord, drop_content, drop_request};
pub(crate) use scan::{read_history, scan};
