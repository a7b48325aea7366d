//! Ids of episodes, and hashes of requests and outcomes.

use std::time::{SystemTime, UNIX_EPOCH};

use orwd_model::byte_array_type;

byte_array_type! {
    /// The id of an episode: 48 bits of milliseconds since 1970 and 80 random
    /// bits, so that ids sort by time.
    EpisodeId, 16, ""
}

impl EpisodeId {
    /// Draws a new id.
    #[expect(
        clippy::new_without_default,
        reason = "every id differs, while a default is always the same"
    )]
    pub fn new() -> EpisodeId {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.map_or(0, |since| since.as_millis());
        let random = rand::random::<u128>() >> 48;
        EpisodeId((millis << 80 | random).to_be_bytes())
    }

    /// Returns the milliseconds since 1970 at which the id was drawn.
    pub fn millis(&self) -> u64 {
        // 48 of 128 bits.
        (u128::from_be_bytes(self.0) >> 80) as u64
    }
}

byte_array_type! {
    /// A BLAKE3 hash of a request or an outcome.
    Hash, 32, ""
}

impl Hash {
    /// Hashes the bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// Hashes bytes of one kind: the same bytes of another kind hash differently.
    /// The kind is a constant of the program.
    pub fn of_kind(kind: &str, bytes: &[u8]) -> Hash {
        Hash(blake3::derive_key(kind, bytes))
    }
}
