//! The one thread that appends.
//!
//! Whatever is queued when it comes round goes into one transaction, so that a
//! commit is paid for once by all who wait. Answers go out after the commit.
//! A failed sync ends it: every later append is told so, nothing is tried
//! again, and [`super::Journal::stopped`] lets the host end.

use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

use super::error::JournalError;
use super::queue::{self, Batch, Receiver, Sender};
use super::store::{Entry, Put, Store, StoreError};

/// Starts the thread. It ends when every sender is gone.
pub(super) fn start(
    store: Arc<dyn Store>,
    stopped: watch::Sender<Option<String>>,
) -> Result<Sender, JournalError> {
    let (sender, entries) = queue::queue();
    let writer = Writer { store, stopped };
    thread::Builder::new()
        .name("orwd-journal".to_owned())
        .spawn(move || writer.run(&entries))
        .map_err(|error| JournalError::Io(format!("its thread cannot be started: {error}")))?;
    Ok(sender)
}

struct Writer {
    store: Arc<dyn Store>,
    stopped: watch::Sender<Option<String>>,
}

impl Writer {
    fn run(self, queue: &Receiver) {
        while let Some(mut batch) = queue.take() {
            let close = batch.close.take();
            self.commit(batch);
            if let Some(reply) = close {
                let first = self.stop("it was closed".to_owned());
                if first && let Err(error) = self.store.close() {
                    // It costs the next start a little.
                    tracing::warn!(%error, "the journal's log stays as it is");
                }
                // Nobody waits for it if the host has given up waiting.
                let _ = reply.send(());
            }
        }
    }

    fn commit(&self, batch: Batch) {
        let Batch {
            entries, replies, ..
        } = batch;
        if entries.is_empty() {
            return;
        }
        let stopped = self.stopped.borrow().clone();
        let put = match stopped {
            Some(why) => Err(JournalError::Stopped(why)),
            None => self.store.append(&entries).map_err(|error| {
                tracing::error!(%error, records = entries.len(), "the journal took no records");
                if let StoreError::Sync(why) = &error {
                    self.stop(why.clone());
                }
                JournalError::from(error)
            }),
        };
        match put {
            Ok(put) => {
                for ((entry, reply), put) in entries.iter().zip(replies).zip(put) {
                    if let Some(reply) = reply {
                        // Who no longer waits has dropped the ticket.
                        let _ = reply.send(judge(entry, put));
                    }
                }
                self.rest();
            }
            Err(error) => {
                for reply in replies.into_iter().flatten() {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn rest(&self) {
        match self.store.rest() {
            Ok(()) => {}
            Err(StoreError::Sync(why)) => {
                self.stop(why);
            }
            // What it tidies up is left for the next time.
            Err(error) => tracing::warn!(%error, "the journal cannot tidy up"),
        }
    }

    /// Writes nothing more, for this reason; false if there was one before.
    fn stop(&self, why: String) -> bool {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                *stopped = Some(why);
            }
            first
        })
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
