//! The thread that commits.
//!
//! It commits all queued entries in one transaction, so that their writers share
//! the cost of the commit, and replies after the commit. A failed sync stops it:
//! all later appends fail, nothing is retried, and
//! [`Journal::stopped`](crate::Journal::stopped) lets the host exit.

use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

use super::queue::{self, Batch, Receiver, Sender};
use crate::error::JournalError;
use crate::store::{AppendEntry, AppendResult, JournalStore, StoreError};

/// Starts the thread. It ends when every sender is dropped.
pub(crate) fn start(
    store: Arc<dyn JournalStore>,
    stopped: watch::Sender<Option<String>>,
) -> Result<Sender, JournalError> {
    let (sender, entries) = queue::queue();
    let committer = Committer { store, stopped };
    thread::Builder::new()
        .name("orwd-journal".to_owned())
        .spawn(move || committer.run(&entries))
        .map_err(|error| JournalError::Io(format!("cannot start its thread: {error}")))?;
    Ok(sender)
}

struct Committer {
    store: Arc<dyn JournalStore>,
    stopped: watch::Sender<Option<String>>,
}

impl Committer {
    fn run(self, queue: &Receiver) {
        while let Some(mut batch) = queue.take() {
            let close = batch.close.take();
            self.commit(batch);
            if let Some(reply) = close {
                let first = self.stop("it was closed".to_owned());
                if first && let Err(error) = self.store.close() {
                    // The next start has to read the write-ahead log.
                    tracing::warn!(%error, "journal closed without a checkpoint");
                }
                // The host may have given up waiting.
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
        let results = match stopped {
            Some(why) => Err(JournalError::Stopped(why)),
            None => self.store.append(&entries).map_err(|error| {
                tracing::error!(%error, records = entries.len(), "journal append failed");
                if let StoreError::Sync(why) = &error {
                    self.stop(why.clone());
                }
                JournalError::from(error)
            }),
        };
        match results {
            Ok(results) => {
                for ((entry, reply), result) in entries.iter().zip(replies).zip(results) {
                    if let Some(reply) = reply {
                        // The writer may have dropped its future.
                        let _ = reply.send(into_result(entry, result));
                    }
                }
                self.checkpoint();
            }
            Err(error) => {
                for reply in replies.into_iter().flatten() {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn checkpoint(&self) {
        match self.store.checkpoint() {
            Ok(()) => {}
            Err(StoreError::Sync(why)) => {
                self.stop(why);
            }
            // The next checkpoint does its work.
            Err(error) => tracing::warn!(%error, "journal checkpoint failed"),
        }
    }

    /// Stops writing for this reason. Returns false if it was stopped before.
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

fn into_result(entry: &AppendEntry, result: AppendResult) -> Result<(), JournalError> {
    let (episode, seq) = (entry.episode, entry.seq);
    match result {
        AppendResult::Appended | AppendResult::AlreadyPresent => Ok(()),
        AppendResult::SlotTaken => Err(JournalError::Fenced { episode, seq }),
        AppendResult::Gap => Err(JournalError::Gap { episode, seq }),
        AppendResult::SessionExists => Err(JournalError::Exists { episode }),
    }
}
