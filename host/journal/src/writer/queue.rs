//! The queue of entries to commit.
//!
//! Most entries are awaited, and the committing thread takes them at once. A
//! request is not awaited: most guests answer quickly, and one transaction for
//! the request and its outcome costs half as much as two. So an entry that
//! nobody awaits is deferred, for a millisecond at most: a host that is killed
//! during a long call must find the call in its journal.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::JournalError;
use crate::store::AppendEntry;

/// The longest time that an entry is deferred.
const MAX_DEFER: Duration = Duration::from_millis(1);

/// Entries of one transaction, at most.
const MAX_BATCH: usize = 512;

/// Bytes of one transaction, at most, apart from its last entry.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// Receives the result of an entry.
pub(super) type CommitSender = oneshot::Sender<Result<(), JournalError>>;

/// The entries of one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<AppendEntry>,
    /// One for each entry; `None` for a deferred entry.
    pub(super) replies: Vec<Option<CommitSender>>,
    /// Receives a message once the batch is committed and the journal closed.
    pub(super) close: Option<oneshot::Sender<()>>,
}

/// The sending end. Clones share it.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Shared>);

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
    entries: VecDeque<(AppendEntry, Option<CommitSender>)>,
    /// How many entries are awaited.
    awaited: usize,
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
    (Sender(Arc::clone(&shared)), Receiver(shared))
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
    /// Sends an entry that is awaited. Returns false if the receiver is dropped.
    pub(super) fn send(&self, entry: AppendEntry, reply: CommitSender) -> bool {
        let mut state = self.0.state();
        if state.closed {
            return false;
        }
        state.entries.push_back((entry, Some(reply)));
        state.awaited += 1;
        self.0.wake(state, ReceiverState::TimedWait);
        true
    }

    /// Sends an entry that nobody awaits.
    pub(super) fn send_deferred(&self, entry: AppendEntry) {
        let mut state = self.0.state();
        if state.closed {
            return;
        }
        state.entries.push_back((entry, None));
        state.deferred_since.get_or_insert_with(Instant::now);
        self.0.wake(state, ReceiverState::Parked);
    }

    /// Requests the close after all entries that are queued. Returns false if the
    /// receiver is dropped.
    pub(crate) fn close(&self, reply: oneshot::Sender<()>) -> bool {
        let mut state = self.0.state();
        if state.closed {
            return false;
        }
        state.close = Some(reply);
        self.0.wake(state, ReceiverState::TimedWait);
        true
    }
}

impl Clone for Sender {
    fn clone(&self) -> Sender {
        self.0.state().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.wake(state, ReceiverState::TimedWait);
        }
    }
}

impl Receiver {
    /// Waits for entries. Returns `None` once the queue is empty and every sender
    /// is dropped.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.0.state();
        let mut waited = false;
        loop {
            if state.is_due() {
                break;
            }
            let wait = match state.deferred_since {
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
        Some(state.drain())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        // Dropping the reply channels tells their writers.
        state.entries.clear();
        state.close = None;
    }
}

impl QueueState {
    /// Whether the entries are due for a commit.
    fn is_due(&self) -> bool {
        let last = self.senders == 0 && !self.entries.is_empty();
        self.awaited > 0 || self.close.is_some() || self.entries.len() >= MAX_BATCH || last
    }

    /// Takes the oldest entries, up to the size of a batch.
    fn drain(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.entries.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
            let Some((entry, reply)) = self.entries.pop_front() else {
                break;
            };
            bytes += entry.bytes.len();
            self.awaited -= usize::from(reply.is_some());
            batch.entries.push(entry);
            batch.replies.push(reply);
        }
        if self.entries.is_empty() {
            self.deferred_since = None;
            batch.close = self.close.take();
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EpisodeId;
    use crate::testing as sample;

    fn entries(count: u64) -> Vec<AppendEntry> {
        sample::entries(EpisodeId::new(), &sample::episode(None, "s", count))
    }

    #[test]
    fn deferred_entries_are_taken_with_awaited_ones() {
        let (sender, receiver) = queue();
        let mut entries = entries(1).into_iter();
        sender.send_deferred(entries.next().unwrap());
        let (reply, _commit) = oneshot::channel();
        assert!(sender.send(entries.next().unwrap(), reply));
        sender.send_deferred(entries.next().unwrap());
        let batch = receiver.take().unwrap();
        let slots: Vec<u64> = batch.entries.iter().map(|entry| entry.seq).collect();
        assert_eq!(slots, [0, 1, 2]);
    }

    #[test]
    fn a_deferred_entry_is_taken_without_an_awaited_one() {
        let (sender, receiver) = queue();
        let taker = std::thread::spawn(move || receiver.take().map(|batch| batch.entries.len()));
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
        assert_eq!(receiver.take().unwrap().entries.len(), 1);
        assert!(receiver.take().is_none());
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
            let batch = receiver.take().unwrap();
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
}
