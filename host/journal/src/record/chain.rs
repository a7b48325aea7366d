//! The hash chain over the records of an episode.
//!
//! Each link hashes the link before it, the record's number and its bytes; the
//! first link hashes the episode's id. A record that was changed, removed, moved
//! or taken from another episode breaks the chain, and one link identifies all
//! records before it.

use orwd_model::byte_array_type;

use super::id::EpisodeId;

/// Context of the first link, so that no other hash can be a link.
const INITIAL_CONTEXT: &str = "orwd journal 2026 v1 beginning of an episode";

/// Context of the other links.
const LINK_CONTEXT: &str = "orwd journal 2026 v1 link";

byte_array_type! {
    /// A link of the chain: the hash after a record.
    ChainLink, 32, ""
}

impl ChainLink {
    /// Returns the link before an episode's first record.
    pub fn initial(episode: EpisodeId) -> ChainLink {
        ChainLink(blake3::derive_key(INITIAL_CONTEXT, episode.as_bytes()))
    }

    /// Returns the link after the record with this number and these bytes.
    pub fn extend(&self, seq: u64, record: &[u8]) -> ChainLink {
        let mut hasher = blake3::Hasher::new_derive_key(LINK_CONTEXT);
        hasher.update(&self.0);
        hasher.update(&seq.to_be_bytes());
        hasher.update(record);
        ChainLink(*hasher.finalize().as_bytes())
    }
}
