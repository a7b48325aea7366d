//! The write path: writers of episodes, the queue, and the thread that commits.

mod budget;
mod episode_writer;
mod metrics;
mod queue;
mod thread;
mod turns;

pub use episode_writer::{EpisodeWriter, PendingCommit};

pub(crate) use budget::WriteBudget;
pub(crate) use metrics::WriterMetrics;
pub(crate) use queue::Sender;
pub(crate) use thread::start;
