//! Whose entry is committed next: owners take turns, and so do the episodes of an
//! owner. The entries of one episode keep their order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::JournalError;
use crate::record::EpisodeId;
use crate::store::AppendEntry;

/// Bytes above which an entry is written in pieces.
const MAX_SMALL: usize = 128 << 10;

/// Bytes of a piece.
const PIECE: usize = 256 << 10;

/// Receives the result of an entry.
pub(super) type CommitSender = oneshot::Sender<Result<(), JournalError>>;

/// Part of an entry that is too large for one transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) episode: EpisodeId,
    pub(super) seq: u64,
    /// Where it begins.
    pub(super) offset: usize,
    pub(super) bytes: Vec<u8>,
}

/// An entry, and who awaits it.
#[derive(Debug)]
pub(super) struct QueuedEntry {
    pub(super) entry: AppendEntry,
    /// `None` for a deferred entry.
    pub(super) reply: Option<CommitSender>,
}

/// The entries by owner.
#[derive(Debug, Default)]
pub(super) struct Turns {
    owners: HashMap<Option<Arc<str>>, OwnerEntries>,
    /// The owners that have entries, in the order of their turns.
    order: VecDeque<Option<Arc<str>>>,
    /// The owners of episodes with a large entry in front, in the order of their
    /// turns.
    large_order: VecDeque<Option<Arc<str>>>,
    len: usize,
    awaited: usize,
}

/// The entries of an owner by episode.
#[derive(Debug, Default)]
struct OwnerEntries {
    episodes: HashMap<EpisodeId, EpisodeEntries>,
    /// The episodes with a small entry in front, or one that is staged.
    small: VecDeque<EpisodeId>,
    /// The episodes with a large entry in front.
    large: VecDeque<EpisodeId>,
}

/// The entries of an episode.
#[derive(Debug, Default)]
struct EpisodeEntries {
    entries: VecDeque<QueuedEntry>,
    /// Bytes of the entry in front that are taken in pieces.
    staged: usize,
}

impl EpisodeEntries {
    /// Whether the entry in front has pieces that are not taken yet.
    fn is_large(&self) -> bool {
        self.entries.front().is_some_and(|queued| {
            let bytes = queued.entry.bytes.len();
            bytes > MAX_SMALL && self.staged < bytes
        })
    }
}

impl Turns {
    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of entries that somebody awaits.
    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether an entry has pieces that can be taken.
    pub(super) fn has_large(&self) -> bool {
        !self.large_order.is_empty()
    }

    /// Whether nothing but pieces can be taken.
    pub(super) fn is_large_only(&self) -> bool {
        self.order.is_empty() && self.has_large()
    }

    /// Adds an entry of this owner.
    pub(super) fn push(&mut self, owner: &Option<Arc<str>>, queued: QueuedEntry) {
        self.len += 1;
        self.awaited += usize::from(queued.reply.is_some());
        let episode = queued.entry.episode;
        let entries = self.owners.entry(owner.clone()).or_default();
        let queue = entries.episodes.entry(episode).or_default();
        queue.entries.push_back(queued);
        if queue.entries.len() == 1 {
            self.line_up(owner, episode);
        }
    }

    /// Gives an episode its turn among those of its owner, by its entry in front.
    fn line_up(&mut self, owner: &Option<Arc<str>>, episode: EpisodeId) {
        let Some(entries) = self.owners.get_mut(owner) else {
            return;
        };
        let Some(queue) = entries.episodes.get(&episode) else {
            return;
        };
        let (episodes, order) = if queue.is_large() {
            (&mut entries.large, &mut self.large_order)
        } else {
            (&mut entries.small, &mut self.order)
        };
        if episodes.is_empty() {
            order.push_back(owner.clone());
        }
        episodes.push_back(episode);
    }

    /// Takes the next entry that needs no pieces, or whose pieces are all taken.
    /// Returns it with the bytes that it adds to a transaction.
    pub(super) fn next_small(&mut self) -> Option<(QueuedEntry, usize)> {
        let owner = self.order.pop_front()?;
        let entries = self.owners.get_mut(&owner)?;
        let episode = entries.small.pop_front()?;
        if !entries.small.is_empty() {
            self.order.push_back(owner.clone());
        }
        let staged = entries.episodes.get(&episode)?.staged;
        let queued = self.pop(&owner, episode)?;
        let size = queued.entry.bytes.len() - staged.min(queued.entry.bytes.len());
        Some((queued, size))
    }

    /// Takes the next piece of a large entry.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        let owner = self.large_order.pop_front()?;
        let entries = self.owners.get_mut(&owner)?;
        let episode = entries.large.pop_front()?;
        if !entries.large.is_empty() {
            self.large_order.push_back(owner.clone());
        }
        let queue = entries.episodes.get_mut(&episode)?;
        let entry = &queue.entries.front()?.entry;
        let offset = queue.staged;
        let rest = entry.bytes.get(offset..).unwrap_or_default();
        let bytes = rest.get(..PIECE).unwrap_or(rest).to_vec();
        let seq = entry.seq;
        queue.staged += bytes.len();
        self.line_up(&owner, episode);
        Some(Piece {
            episode,
            seq,
            offset,
            bytes,
        })
    }

    /// Takes an entry whose piece could not be written, and returns who awaits it.
    /// Later entries of the episode follow an empty slot and are refused.
    pub(super) fn abandon(&mut self, episode: EpisodeId, seq: u64) -> Option<CommitSender> {
        let (owner, entries) = self.owners.iter_mut().find(|(_, entries)| {
            let queue = entries.episodes.get(&episode);
            let front = queue.and_then(|queue| queue.entries.front());
            front.is_some_and(|queued| queued.entry.seq == seq)
        })?;
        let owner = owner.clone();
        for (episodes, order) in [
            (&mut entries.small, &mut self.order),
            (&mut entries.large, &mut self.large_order),
        ] {
            let before = episodes.len();
            episodes.retain(|other| *other != episode);
            if episodes.is_empty() && before > 0 {
                order.retain(|other| *other != owner);
            }
        }
        self.pop(&owner, episode)?.reply
    }

    /// Takes the entry in front of an episode, which has no turn at the moment,
    /// and gives the next one its turn.
    fn pop(&mut self, owner: &Option<Arc<str>>, episode: EpisodeId) -> Option<QueuedEntry> {
        let entries = self.owners.get_mut(owner)?;
        let queue = entries.episodes.get_mut(&episode)?;
        let queued = queue.entries.pop_front()?;
        queue.staged = 0;
        self.len -= 1;
        self.awaited -= usize::from(queued.reply.is_some());
        if queue.entries.is_empty() {
            entries.episodes.remove(&episode);
            if entries.episodes.is_empty() {
                self.owners.remove(owner);
            }
        } else {
            self.line_up(owner, episode);
        }
        Some(queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing as sample;

    fn entry(episode: u8, bytes: usize) -> QueuedEntry {
        let episode = EpisodeId::from_bytes([episode; 16]);
        let mut entry = sample::entries(episode, &sample::episode(None, "s", 0)).remove(0);
        entry.bytes.resize(bytes, 7);
        QueuedEntry { entry, reply: None }
    }

    fn owner(name: &str) -> Option<Arc<str>> {
        Some(Arc::from(name))
    }

    fn first(id: EpisodeId) -> u8 {
        id.as_bytes().first().copied().unwrap_or_default()
    }

    #[test]
    fn owners_take_turns_and_then_episodes() {
        let mut turns = Turns::default();
        for _ in 0..3 {
            turns.push(&owner("mallory"), entry(1, 10));
        }
        for episode in [2, 3, 3] {
            turns.push(&owner("mallory"), entry(episode, 10));
        }
        turns.push(&owner("alice"), entry(9, 10));
        let mut taken = Vec::new();
        while let Some((queued, _)) = turns.next_small() {
            taken.push(first(queued.entry.episode));
        }
        assert_eq!(taken, [1, 9, 2, 3, 1, 3, 1]);
        assert!(turns.is_empty());
        assert!(turns.owners.is_empty() && turns.order.is_empty());
    }

    #[test]
    fn pieces_of_owners_alternate() {
        let mut turns = Turns::default();
        turns.push(&owner("mallory"), entry(1, 4 * PIECE));
        turns.push(&owner("mallory"), entry(2, 4 * PIECE));
        turns.push(&owner("alice"), entry(9, 2 * PIECE));
        let pieces: Vec<u8> = std::iter::from_fn(|| turns.next_piece())
            .map(|piece| first(piece.episode))
            .collect();
        assert_eq!(pieces, [1, 9, 2, 9, 1, 2, 1, 2, 1, 2]);
        // All are staged, and follow as if they were small.
        assert!(!turns.has_large());
        let sizes: Vec<usize> = std::iter::from_fn(|| turns.next_small())
            .map(|(_, size)| size)
            .collect();
        assert_eq!(sizes, [0, 0, 0]);
        assert!(turns.is_empty());
    }

    #[test]
    fn the_entries_of_an_episode_keep_their_order() {
        let mut turns = Turns::default();
        turns.push(&None, entry(1, 2 * PIECE));
        turns.push(&None, entry(1, 10));
        assert!(turns.next_small().is_none(), "the large one is first");
        assert!(turns.next_piece().is_some());
        assert!(turns.next_small().is_none());
        assert!(turns.next_piece().is_some());
        assert!(turns.next_piece().is_none());
        let sizes: Vec<usize> = std::iter::from_fn(|| turns.next_small())
            .map(|(queued, _)| queued.entry.bytes.len())
            .collect();
        assert_eq!(sizes, [2 * PIECE, 10]);
    }

    #[test]
    fn an_abandoned_entry_leaves_the_others_their_turns() {
        let mut turns = Turns::default();
        turns.push(&owner("alice"), entry(1, 2 * PIECE));
        turns.push(&owner("alice"), entry(1, 10));
        turns.push(&owner("alice"), entry(2, 2 * PIECE));
        let piece = turns.next_piece().unwrap();
        assert!(turns.abandon(piece.episode, piece.seq).is_none());
        assert_eq!(turns.len(), 2);
        assert!(turns.next_small().is_some());
        assert_eq!(
            turns.next_piece().map(|piece| first(piece.episode)),
            Some(2)
        );
    }
}
