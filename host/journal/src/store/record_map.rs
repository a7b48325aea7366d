//! Where the records of an episode are, so that some of them can be read without
//! the others.

use super::indexed_episode::IndexedEpisode;
use crate::record::ChainLink;

/// Where the records of an episode are. It stays valid until the episode is
/// purged; records that are added later are not in it.
#[derive(Clone, Debug)]
pub struct RecordMap {
    /// The episode as the index had it.
    pub(crate) index: IndexedEpisode,
    /// The place of each record in the store, by slot; empty if the store needs
    /// none.
    pub(crate) places: Vec<i64>,
    /// The last slot that the episode shares with another; 0 if it shares none.
    pub(crate) shared_until: u64,
}

/// Which records of an episode to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRange {
    /// The first slot.
    pub(crate) from: u64,
    /// The link of the record before, from which those of shared records follow.
    pub(crate) tip: ChainLink,
    /// The bytes after which no further record is read.
    pub(crate) bytes: usize,
}
