//! The chain over the records of an episode.
//!
//! Each record's link is a hash over the link before it, its number and its
//! bytes; before the first stands a hash of the episode's id. So a record that
//! was changed, left out, put elsewhere or taken from another episode is found
//! by whoever follows the chain, and one link stands for all that led to it.

use std::fmt;

use super::id::{EpisodeId, Hash};

/// Stands before the id, so that no other hash of ours is a link.
const BEGINNING: &str = "orwd journal 2026 v1 beginning of an episode";

/// Keeps links apart from other hashes of the same bytes.
const LINK: &str = "orwd journal 2026 v1 link";

/// What the chain has come to after a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link([u8; 32]);

impl Link {
    /// What stands before an episode's first record.
    pub fn beginning(episode: EpisodeId) -> Link {
        Link(blake3::derive_key(BEGINNING, episode.as_bytes()))
    }

    /// The link of the record with this number and these bytes.
    pub fn then(&self, seq: u64, record: &[u8]) -> Link {
        let mut hasher = blake3::Hasher::new_derive_key(LINK);
        hasher.update(&self.0);
        hasher.update(&seq.to_be_bytes());
        hasher.update(record);
        Link(*hasher.finalize().as_bytes())
    }

    /// The link of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Link {
        Link(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hash::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
