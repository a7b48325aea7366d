//! Run ids that only this host can issue.
//!
//! Half of an id is random, half is a keyed hash of it. An id is sent to the
//! client before anything is journaled. If the host is killed in between, the
//! client comes back with an id that no journal knows. The hash shows that this
//! host issued the id for this episode, so the host runs the call. An id that a
//! client made up is refused.

use orwd_journal::{EpisodeId, Hash};
use orwd_model::RunId;

/// Issues and verifies run ids.
#[derive(Clone)]
pub(crate) struct RunIdSigner {
    key: [u8; 32],
}

/// The random bytes of an id; the rest is the keyed hash.
const RANDOM_BYTES: usize = 8;

impl RunIdSigner {
    /// Creates a signer with the key of this host.
    pub(crate) fn new(key: [u8; 32]) -> RunIdSigner {
        RunIdSigner { key }
    }

    /// Issues an id for a run of this episode.
    pub(crate) fn issue(&self, episode: EpisodeId) -> RunId {
        self.sign(episode, rand::random())
    }

    /// Returns whether this host issued the id for a run of this episode.
    pub(crate) fn verify(&self, episode: EpisodeId, id: RunId) -> bool {
        let random = id.as_bytes().first_chunk::<RANDOM_BYTES>();
        // Timing does not help to guess 64 bits over a network.
        random.is_some_and(|random| self.sign(episode, *random) == id)
    }

    /// Returns a keyed hash of a request. Requests carry secrets; without the
    /// key, nobody can search for the request of a hash.
    pub(crate) fn fingerprint(&self, request: &[u8; 32]) -> Hash {
        Hash::from_bytes(*blake3::keyed_hash(&self.key, request).as_bytes())
    }

    fn sign(&self, episode: EpisodeId, random: [u8; RANDOM_BYTES]) -> RunId {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"task");
        hasher.update(episode.as_bytes());
        hasher.update(&random);
        let mut id = [0; 16];
        let (front, signature) = id.split_at_mut(RANDOM_BYTES);
        front.copy_from_slice(&random);
        hasher.finalize_xof().fill(signature);
        RunId::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_valid_in_its_episode_alone() {
        let signer = RunIdSigner::new([7; 32]);
        let (episode, other) = (EpisodeId::new(), EpisodeId::new());
        let id = signer.issue(episode);
        assert!(signer.verify(episode, id));
        assert_ne!(id, signer.issue(episode));
        assert!(!signer.verify(other, id));
        assert!(!RunIdSigner::new([8; 32]).verify(episode, id));
        for bit in 0..128 {
            let mut bytes = *id.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!signer.verify(episode, RunId::from_bytes(bytes)), "{bit}");
        }
    }
}
