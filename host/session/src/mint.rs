//! The ids of runs: drawn at random, with a check that only this host can
//! write.
//!
//! An id goes out to the client before anything is written down. Should the
//! host be killed in between, the client comes back with an id that no journal
//! knows: by the check the host sees that it gave the id out itself, for this
//! very episode, and runs the call. An id of the client's own making is none.

use orwd_journal::{EpisodeId, Hash};
use orwd_model::RunId;

/// What the checks are made with.
#[derive(Clone)]
pub(super) struct Mint {
    key: [u8; 32],
}

/// Bytes of an id that are drawn; the others are the check.
const DRAWN: usize = 8;

impl Mint {
    /// With the key of this host.
    pub(super) fn new(key: [u8; 32]) -> Mint {
        Mint { key }
    }

    /// Draws an id for a run of this episode.
    pub(super) fn draw(&self, episode: EpisodeId) -> RunId {
        self.checked(episode, rand::random())
    }

    /// Whether the id was drawn here, for a run of this episode.
    pub(super) fn drew(&self, episode: EpisodeId, id: RunId) -> bool {
        let drawn = id.as_bytes().first_chunk::<DRAWN>();
        // Ids are as long as they are, and a check of 64 bits is not guessed
        // over a network in whatever time the comparison takes.
        drawn.is_some_and(|drawn| self.checked(episode, *drawn) == id)
    }

    /// A hash of a request that cannot be searched for by who has no key:
    /// requests carry secrets.
    pub(super) fn imprint(&self, request: &[u8; 32]) -> Hash {
        Hash::from_bytes(*blake3::keyed_hash(&self.key, request).as_bytes())
    }

    fn checked(&self, episode: EpisodeId, drawn: [u8; DRAWN]) -> RunId {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"task");
        hasher.update(episode.as_bytes());
        hasher.update(&drawn);
        let mut id = [0; 16];
        let (front, check) = id.split_at_mut(DRAWN);
        front.copy_from_slice(&drawn);
        hasher.finalize_xof().fill(check);
        RunId::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_again_in_its_episode_alone() {
        let mint = Mint::new([7; 32]);
        let (episode, other) = (EpisodeId::new(), EpisodeId::new());
        let id = mint.draw(episode);
        assert!(mint.drew(episode, id));
        assert_ne!(id, mint.draw(episode));
        assert!(!mint.drew(other, id));
        assert!(!Mint::new([8; 32]).drew(episode, id));
        for bit in 0..128 {
            let mut bytes = *id.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!mint.drew(episode, RunId::from_bytes(bytes)), "{bit}");
        }
    }
}
