//! Archives: an episode in one file, to move it to another machine.

mod episode_archive;
mod error;
mod frames;
mod import;

pub use episode_archive::EpisodeArchive;
pub use error::ArchiveError;
pub use import::{ImportOptions, ImportOutcome};
