//! The one thread that appends.
//!
//! Whatever is queued when it comes round goes into one transaction, so that a
//! commit is paid for once by all who wait. Answers go out after the commit.
//! A failed sync ends it: every later append is told so, nothing is tried
//! again, and [`super::Journal::stopped`] lets the host end.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::{oneshot, watch};

use super::error::JournalError;
use super::store::{Entry, Put, Store, StoreError};

/// Entries of one transaction, at most.
const BATCH: usize = 512;

/// Bytes of one transaction, at most, but for its last entry.
const BATCH_BYTES: usize = 8 << 20;

/// Learns what became of an entry.
pub(super) type Reply = oneshot::Sender<Result<(), JournalError>>;

/// Something for the writer to do.
pub(super) enum Command {
    /// Append it.
    Append(Entry, Reply),
    /// Finish what is queued and append nothing more.
    Close(oneshot::Sender<()>),
}

/// Starts the thread. It ends when every sender is gone.
pub(super) fn start(
    store: Arc<dyn Store>,
    stopped: watch::Sender<Option<String>>,
) -> Result<Sender<Command>, JournalError> {
    let (sender, commands) = channel();
    let writer = Writer {
        store,
        stopped,
        entries: Vec::new(),
        replies: Vec::new(),
    };
    thread::Builder::new()
        .name("orwd-journal".to_owned())
        .spawn(move || writer.run(&commands))
        .map_err(|error| JournalError::Io(format!("its thread cannot be started: {error}")))?;
    Ok(sender)
}

struct Writer {
    store: Arc<dyn Store>,
    stopped: watch::Sender<Option<String>>,
    entries: Vec<Entry>,
    replies: Vec<Reply>,
}

impl Writer {
    fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(first) = commands.recv() {
            let close = self.gather(first, commands);
            self.commit();
            if let Some(reply) = close {
                self.stop("it was closed".to_owned());
                if let Err(error) = self.store.close() {
                    // It costs the next start a little.
                    tracing::warn!(%error, "the journal's log stays as it is");
                }
                // Nobody waits for it if the host has given up waiting.
                let _ = reply.send(());
            }
        }
    }

    /// Takes what is queued, up to the size of a batch or the end.
    fn gather(
        &mut self,
        first: Command,
        commands: &Receiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let mut next = Some(first);
        let mut bytes = 0;
        loop {
            match next.take() {
                Some(Command::Append(entry, reply)) => {
                    bytes += entry.bytes.len();
                    self.entries.push(entry);
                    self.replies.push(reply);
                }
                Some(Command::Close(reply)) => return Some(reply),
                None => return None,
            }
            if self.entries.len() >= BATCH || bytes >= BATCH_BYTES {
                return None;
            }
            next = commands.try_recv().ok();
        }
    }

    fn commit(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let stopped = self.stopped.borrow().clone();
        let put = match stopped {
            Some(why) => Err(JournalError::Stopped(why)),
            None => self.store.append(&self.entries).map_err(|error| {
                tracing::error!(%error, records = self.entries.len(), "the journal took no records");
                if let StoreError::Sync(why) = &error {
                    self.stop(why.clone());
                }
                JournalError::from(error)
            }),
        };
        let entries = std::mem::take(&mut self.entries);
        let replies = std::mem::take(&mut self.replies);
        match put {
            Ok(put) => {
                for ((entry, reply), put) in entries.iter().zip(replies).zip(put) {
                    // Who no longer waits has dropped the ticket.
                    let _ = reply.send(judge(entry, put));
                }
                self.rest();
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn rest(&self) {
        match self.store.rest() {
            Ok(()) => {}
            Err(StoreError::Sync(why)) => self.stop(why),
            // What it tidies up is left for the next time.
            Err(error) => tracing::warn!(%error, "the journal cannot tidy up"),
        }
    }

    fn stop(&self, why: String) {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                *stopped = Some(why);
            }
            first
        });
    }
}

fn judge(entry: &Entry, put: Put) -> Result<(), JournalError> {
    let (episode, seq) = (entry.episode, entry.seq);
    match put {
        Put::Done | Put::Already => Ok(()),
        Put::Taken => Err(JournalError::Fenced { episode, seq }),
        Put::Gap => Err(JournalError::Gap { episode, seq }),
        Put::Exists => Err(JournalError::Exists { episode }),
    }
}
