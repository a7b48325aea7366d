//! The write path: writers of episodes, the queue, and the thread that commits.

mod episode_writer;
mod queue;
mod thread;

pub use episode_writer::{EpisodeWriter, PendingCommit};

pub(crate) use queue::Sender;
pub(crate) use thread::start;
