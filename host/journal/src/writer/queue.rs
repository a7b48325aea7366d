//! The queue of entries to commit.
//!
//! Most entries are awaited, and the committing thread takes them at once. A
//! request is not awaited: most guests answer quickly, and one transaction for
//! the request and its outcome costs half as much as two. So an entry that
//! nobody awaits is deferred, for a millisecond at most: a host that is killed
//! during a long call must find the call in its journal.
//!
//! Owners take turns, and so do the episodes of an owner. A large entry is
//! written in pieces, one between two batches, so that a small entry waits for a
//! piece and not for the whole.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::turns::{CommitSender, Piece, QueuedEntry, Turns};
use crate::store::AppendEntry;

/// The longest time that an entry is deferred.
const MAX_DEFER: Duration = Duration::from_millis(1);

/// How long large entries wait before the store is asked again whether it takes
/// them.
const CONGESTION_WAIT: Duration = Duration::from_millis(1);

/// Entries of one transaction, at most.
const MAX_BATCH: usize = 512;

/// Bytes of one transaction, at most, apart from its last entry.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// What the receiver does next: one transaction for the entries, and one for the
/// piece.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<AppendEntry>,
    /// One for each entry; `None` for a deferred entry.
    pub(super) replies: Vec<Option<CommitSender>>,
    /// A piece of a large entry.
    pub(super) piece: Option<Piece>,
    /// Receives a message once the batch is committed and the journal closed.
    pub(super) close: Option<oneshot::Sender<()>>,
}

/// The sending end for the episodes of one owner. Clones share the queue.
#[derive(Debug)]
pub(crate) struct Sender {
    shared: Arc<Shared>,
    owner: Option<Arc<str>>,
}

/// The receiving end. Once it is dropped, sending fails.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    turns: Turns,
    /// When the oldest deferred entry was sent.
    deferred_since: Option<Instant>,
    close: Option<oneshot::Sender<()>>,
    senders: usize,
    receiver: ReceiverState,
    /// The receiver is dropped.
    closed: bool,
}

/// What the receiver does. Senders wake it only if needed, since waking is a
/// system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReceiverState {
    /// It runs, and reads the queue before it waits.
    #[default]
    Running,
    /// It waits for a millisecond at most.
    TimedWait,
    /// It waits until it is woken.
    Parked,
}

/// Creates both ends of a queue.
pub(super) fn queue() -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    shared.state().senders = 1;
    let sender = Sender {
        shared: Arc::clone(&shared),
        owner: None,
    };
    (sender, Receiver(shared))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the receiver if it is parked, or in the given state.
    fn wake(&self, mut state: MutexGuard<'_, QueueState>, from: ReceiverState) {
        if state.receiver == ReceiverState::Parked || state.receiver == from {
            // One notification is enough.
            state.receiver = ReceiverState::Running;
            drop(state);
            self.changed.notify_one();
        }
    }
}

impl Sender {
    /// Returns a sender for the episodes of this owner.
    pub(crate) fn for_owner(&self, owner: Option<&str>) -> Sender {
        let mut sender = self.clone();
        sender.owner = owner.map(Arc::from);
        sender
    }

    /// Returns the owner.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Sends an entry that is awaited. Returns false if the receiver is dropped.
    pub(super) fn send(&self, entry: AppendEntry, reply: CommitSender) -> bool {
        let mut state = self.shared.state();
        if state.closed {
            return false;
        }
        let reply = Some(reply);
        state.turns.push(&self.owner, QueuedEntry { entry, reply });
        self.shared.wake(state, ReceiverState::TimedWait);
        true
    }

    /// Sends an entry that nobody awaits.
    pub(super) fn send_deferred(&self, entry: AppendEntry) {
        let mut state = self.shared.state();
        if state.closed {
            return;
        }
        let reply = None;
        state.turns.push(&self.owner, QueuedEntry { entry, reply });
        state.deferred_since.get_or_insert_with(Instant::now);
        self.shared.wake(state, ReceiverState::Parked);
    }

    /// Requests the close after all entries that are queued. Returns false if the
    /// receiver is dropped.
    pub(crate) fn close(&self, reply: oneshot::Sender<()>) -> bool {
        let mut state = self.shared.state();
        if state.closed {
            return false;
        }
        state.close = Some(reply);
        self.shared.wake(state, ReceiverState::TimedWait);
        true
    }
}

impl Clone for Sender {
    fn clone(&self) -> Sender {
        self.shared.state().senders += 1;
        Sender {
            shared: Arc::clone(&self.shared),
            owner: self.owner.clone(),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.senders -= 1;
        if state.senders == 0 {
            self.shared.wake(state, ReceiverState::TimedWait);
        }
    }
}

impl Receiver {
    /// Waits for entries. Returns `None` once the queue is empty and every sender
    /// is dropped. While the store is `congested`, no piece is taken.
    pub(super) fn take(&self, congested: impl Fn() -> bool) -> Option<Batch> {
        let mut state = self.0.state();
        let mut waited = false;
        loop {
            let large = state.turns.has_large();
            if state.is_due() && !(state.turns.is_large_only() && congested()) {
                break;
            }
            let wait = match state.deferred_since {
                _ if large => Some(CONGESTION_WAIT),
                Some(since) => MAX_DEFER.checked_sub(since.elapsed()),
                None if state.senders == 0 => return None,
                // A sender during this time need not wake the receiver.
                None if !waited => Some(MAX_DEFER),
                None => {
                    state.receiver = ReceiverState::Parked;
                    let woken = self.0.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                    state.receiver = ReceiverState::Running;
                    continue;
                }
            };
            let Some(wait) = wait else {
                break;
            };
            waited = true;
            state.receiver = ReceiverState::TimedWait;
            let woken = self.0.changed.wait_timeout(state, wait);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            state.receiver = ReceiverState::Running;
        }
        Some(state.drain(congested()))
    }

    /// Takes a large entry away whose piece could not be written.
    pub(super) fn abandon(&self, piece: &Piece) -> Option<CommitSender> {
        self.0.state().turns.abandon(piece.episode, piece.seq)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        // Dropping the reply channels tells their writers.
        state.turns = Turns::default();
        state.close = None;
    }
}

impl QueueState {
    /// Whether the entries are due for a commit.
    fn is_due(&self) -> bool {
        let last = self.senders == 0 && !self.turns.is_empty();
        self.turns.awaited() > 0
            || self.close.is_some()
            || self.turns.len() >= MAX_BATCH
            || self.turns.has_large()
            || last
    }

    /// Takes entries in turns, up to the size of a batch, and the next piece of a
    /// large entry.
    fn drain(&mut self, congested: bool) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.entries.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
            let Some((QueuedEntry { entry, reply }, size)) = self.turns.next_small() else {
                break;
            };
            bytes += size;
            batch.entries.push(entry);
            batch.replies.push(reply);
        }
        if !congested {
            batch.piece = self.turns.next_piece();
        }
        if self.turns.is_empty() {
            self.deferred_since = None;
            batch.close = self.close.take();
        } else if self.turns.awaited() == self.turns.len() {
            self.deferred_since = None;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::EpisodeId;
    use crate::testing as sample;

    fn entries(count: u64) -> Vec<AppendEntry> {
        sample::entries(EpisodeId::new(), &sample::episode(None, "s", count))
    }

    /// An entry of this many bytes.
    fn sized(episode: EpisodeId, bytes: usize) -> AppendEntry {
        let mut entry = sample::entries(episode, &sample::episode(None, "s", 0)).remove(0);
        entry.bytes.resize(bytes, 7);
        entry
    }

    fn take(receiver: &Receiver) -> Option<Batch> {
        receiver.take(|| false)
    }

    #[test]
    fn deferred_entries_are_taken_with_awaited_ones() {
        let (sender, receiver) = queue();
        let mut entries = entries(1).into_iter();
        sender.send_deferred(entries.next().unwrap());
        let (reply, _commit) = oneshot::channel();
        assert!(sender.send(entries.next().unwrap(), reply));
        sender.send_deferred(entries.next().unwrap());
        let batch = take(&receiver).unwrap();
        let slots: Vec<u64> = batch.entries.iter().map(|entry| entry.seq).collect();
        assert_eq!(slots, [0, 1, 2]);
    }

    #[test]
    fn a_deferred_entry_is_taken_without_an_awaited_one() {
        let (sender, receiver) = queue();
        let taker = std::thread::spawn(move || take(&receiver).map(|batch| batch.entries.len()));
        // Whether the receiver is parked by now or not.
        sender.send_deferred(entries(0).remove(0));
        assert_eq!(taker.join().unwrap(), Some(1));
    }

    #[test]
    fn the_queue_ends_with_its_last_sender_and_entry() {
        let (sender, receiver) = queue();
        let other = sender.clone();
        drop(sender);
        other.send_deferred(entries(0).remove(0));
        drop(other);
        assert_eq!(take(&receiver).unwrap().entries.len(), 1);
        assert!(take(&receiver).is_none());
    }

    #[test]
    fn batches_are_bounded_and_the_close_comes_last() {
        let (sender, receiver) = queue();
        let all = entries(MAX_BATCH as u64);
        let count = all.len();
        let mut commits = Vec::new();
        for entry in all {
            let (reply, commit) = oneshot::channel();
            assert!(sender.send(entry, reply));
            commits.push(commit);
        }
        let (reply, _closed) = oneshot::channel();
        assert!(sender.close(reply));
        let mut taken = Vec::new();
        let closed = loop {
            let batch = take(&receiver).unwrap();
            taken.push(batch.entries.len());
            if batch.close.is_some() {
                break taken.iter().sum::<usize>();
            }
        };
        assert_eq!(closed, count);
        assert!(taken.iter().all(|size| *size <= MAX_BATCH), "{taken:?}");
        drop(receiver);
        let (reply, _commit) = oneshot::channel();
        assert!(
            !sender.send(entries(0).remove(0), reply),
            "the receiver is dropped"
        );
    }

    #[test]
    fn a_small_entry_waits_for_one_piece_of_a_large_one() {
        let (sender, receiver) = queue();
        let large = EpisodeId::from_bytes([1; 16]);
        sender.send_deferred(sized(large, 2 << 20));
        let first = take(&receiver).unwrap();
        assert!(first.entries.is_empty());
        assert_eq!(first.piece.unwrap().offset, 0);
        sender.send_deferred(sized(EpisodeId::from_bytes([2; 16]), 100));
        let second = take(&receiver).unwrap();
        assert_eq!(second.entries.len(), 1);
        // The large one follows once all of it is staged.
        let mut staged = second.piece.unwrap().bytes.len();
        let committed = loop {
            let batch = take(&receiver).unwrap();
            if let Some(piece) = batch.piece {
                staged += piece.bytes.len();
            }
            if let Some(entry) = batch.entries.into_iter().next() {
                break entry;
            }
        };
        assert_eq!((committed.episode, committed.bytes.len()), (large, 2 << 20));
        assert!(staged < 2 << 20, "the first piece came before");
    }

    #[test]
    fn a_congested_store_gets_small_entries_only() {
        let (sender, receiver) = queue();
        sender.send_deferred(sized(EpisodeId::from_bytes([1; 16]), 2 << 20));
        sender.send_deferred(sized(EpisodeId::from_bytes([2; 16]), 100));
        let batch = receiver.take(|| true).unwrap();
        assert_eq!((batch.entries.len(), batch.piece), (1, None));
        assert!(take(&receiver).unwrap().piece.is_some());
    }
}
