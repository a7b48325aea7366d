//! What waits for the writer, and when the writer is woken for it.
//!
//! Somebody waits for most entries, and the writer takes them as soon as it
//! can. Nobody waits for that a call was asked: its answer follows at once from
//! most guests, and then both go into one transaction, which costs half as much
//! as two. So such an entry may lie for a moment, and no longer, since a host
//! that is killed in a long call should find the call in its journal.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::JournalError;
use super::store::Entry;

/// How long an entry lies at most that nobody waits for.
const MOMENT: Duration = Duration::from_millis(1);

/// Entries of one transaction, at most.
const BATCH: usize = 512;

/// Bytes of one transaction, at most, but for its last entry.
const BATCH_BYTES: usize = 8 << 20;

/// Learns what became of an entry.
pub(super) type Reply = oneshot::Sender<Result<(), JournalError>>;

/// What goes into one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// One for each entry; none where nobody waits.
    pub(super) replies: Vec<Option<Reply>>,
    /// To be told once this is written, and that nothing more will be.
    pub(super) close: Option<oneshot::Sender<()>>,
}

/// The end that entries are put in at; clones share it.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

/// The writer's end. Dropped, whatever is put in is refused.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Entry, Option<Reply>)>,
    /// How many of them somebody waits for.
    urgent: usize,
    /// When the first of the others came.
    since: Option<Instant>,
    close: Option<oneshot::Sender<()>>,
    senders: usize,
    writer: Writer,
    /// The writer is gone.
    ended: bool,
}

/// What the writer does, so that nobody wakes it in vain: that takes a call
/// into the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// It looks into the queue before it rests.
    #[default]
    Awake,
    /// It looks again in a moment.
    Dozing,
    /// It does not, until it is woken.
    Asleep,
}

/// Both ends of a queue.
pub(super) fn queue() -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    shared.state().senders = 1;
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writer if it sleeps as deep as this, or deeper.
    fn wake(&self, mut state: MutexGuard<'_, State>, least: Writer) {
        if state.writer == Writer::Asleep || state.writer == least {
            // Once is enough.
            state.writer = Writer::Awake;
            drop(state);
            self.came.notify_one();
        }
    }
}

impl Sender {
    /// Puts an entry in that somebody waits for; false if nobody takes it.
    pub(super) fn send(&self, entry: Entry, reply: Reply) -> bool {
        let mut state = self.0.state();
        if state.ended {
            return false;
        }
        state.waiting.push_back((entry, Some(reply)));
        state.urgent += 1;
        self.0.wake(state, Writer::Dozing);
        true
    }

    /// Puts an entry in that nobody waits for.
    pub(super) fn send_later(&self, entry: Entry) {
        let mut state = self.0.state();
        if state.ended {
            return;
        }
        state.waiting.push_back((entry, None));
        state.since.get_or_insert_with(Instant::now);
        self.0.wake(state, Writer::Asleep);
    }

    /// Asks for the end, once everything is written that is there by then;
    /// false if it has come already.
    pub(super) fn close(&self, reply: oneshot::Sender<()>) -> bool {
        let mut state = self.0.state();
        if state.ended {
            return false;
        }
        state.close = Some(reply);
        self.0.wake(state, Writer::Dozing);
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
            self.0.wake(state, Writer::Dozing);
        }
    }
}

impl Receiver {
    /// Waits for something to write; none when nothing can come any more.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.0.state();
        let mut lingered = false;
        loop {
            if state.is_due() {
                break;
            }
            let wait = match state.since {
                Some(since) => MOMENT.checked_sub(since.elapsed()),
                None if state.senders == 0 => return None,
                // Whoever puts something in during this moment need not wake
                // anybody.
                None if !lingered => Some(MOMENT),
                None => {
                    state.writer = Writer::Asleep;
                    let woken = self.0.came.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                    state.writer = Writer::Awake;
                    continue;
                }
            };
            let Some(wait) = wait else {
                break;
            };
            lingered = true;
            state.writer = Writer::Dozing;
            let woken = self.0.came.wait_timeout(state, wait);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            state.writer = Writer::Awake;
        }
        Some(state.drain())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        // Whose reply goes with it learns that there will be none.
        state.waiting.clear();
        state.close = None;
    }
}

impl State {
    /// Whether it shall be written now.
    fn is_due(&self) -> bool {
        let last = self.senders == 0 && !self.waiting.is_empty();
        self.urgent > 0 || self.close.is_some() || self.waiting.len() >= BATCH || last
    }

    /// Takes what came first, up to the size of a batch.
    fn drain(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.entries.len() < BATCH && bytes < BATCH_BYTES {
            let Some((entry, reply)) = self.waiting.pop_front() else {
                break;
            };
            bytes += entry.bytes.len();
            self.urgent -= usize::from(reply.is_some());
            batch.entries.push(entry);
            batch.replies.push(reply);
        }
        if self.waiting.is_empty() {
            self.since = None;
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

    fn entries(count: u64) -> Vec<Entry> {
        sample::entries(EpisodeId::new(), &sample::episode(None, "s", count))
    }

    #[test]
    fn what_nobody_waits_for_goes_with_what_somebody_waits_for() {
        let (sender, receiver) = queue();
        let mut entries = entries(1).into_iter();
        sender.send_later(entries.next().unwrap());
        let (reply, _ticket) = oneshot::channel();
        assert!(sender.send(entries.next().unwrap(), reply));
        sender.send_later(entries.next().unwrap());
        let batch = receiver.take().unwrap();
        let slots: Vec<u64> = batch.entries.iter().map(|entry| entry.seq).collect();
        assert_eq!(slots, [0, 1, 2]);
    }

    #[test]
    fn what_nobody_waits_for_is_written_all_the_same() {
        let (sender, receiver) = queue();
        let taker = std::thread::spawn(move || receiver.take().map(|batch| batch.entries.len()));
        // Whether it sleeps by now or not.
        sender.send_later(entries(0).remove(0));
        assert_eq!(taker.join().unwrap(), Some(1));
    }

    #[test]
    fn the_last_sender_ends_it_once_everything_is_taken() {
        let (sender, receiver) = queue();
        let other = sender.clone();
        drop(sender);
        other.send_later(entries(0).remove(0));
        drop(other);
        assert_eq!(receiver.take().unwrap().entries.len(), 1);
        assert!(receiver.take().is_none());
    }

    #[test]
    fn a_batch_has_a_size_and_the_end_comes_behind_the_last() {
        let (sender, receiver) = queue();
        let all = entries(BATCH as u64);
        let count = all.len();
        let mut tickets = Vec::new();
        for entry in all {
            let (reply, ticket) = oneshot::channel();
            assert!(sender.send(entry, reply));
            tickets.push(ticket);
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
        assert!(taken.iter().all(|size| *size <= BATCH), "{taken:?}");
        drop(receiver);
        let (reply, _ticket) = oneshot::channel();
        assert!(
            !sender.send(entries(0).remove(0), reply),
            "the writer is gone"
        );
    }
}
