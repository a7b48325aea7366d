//! Names of episodes, and hashes of what was asked and answered.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The id of an episode, one life of a session: 48 bits of milliseconds since
/// 1970 and 80 random ones, so that ids sort by time. Written as 32 lower-case
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EpisodeId([u8; 16]);

impl EpisodeId {
    /// Draws a new id.
    #[expect(
        clippy::new_without_default,
        reason = "each is another, and a default is always the same"
    )]
    pub fn new() -> EpisodeId {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.map_or(0, |since| since.as_millis());
        let random = rand::random::<u128>() >> 48;
        EpisodeId((millis << 80 | random).to_be_bytes())
    }

    /// Reads an id as it is written; `None` for any other text.
    pub fn parse(text: &str) -> Option<EpisodeId> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 32 || !digits {
            return None;
        }
        let bits = u128::from_str_radix(text, 16).ok()?;
        Some(EpisodeId(bits.to_be_bytes()))
    }

    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> EpisodeId {
        EpisodeId(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A BLAKE3 hash: of a request, an ask, an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// Hashes bytes that are of one kind, so that nothing of another kind has
    /// the same hash. The kind is a constant of the program.
    pub fn of_kind(kind: &str, bytes: &[u8]) -> Hash {
        Hash(blake3::derive_key(kind, bytes))
    }

    /// The hash of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Hash {
        Hash(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits; `None` for any other text.
    pub fn parse(text: &str) -> Option<Hash> {
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lower)?;
        Some(Hash(*hash.as_bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
