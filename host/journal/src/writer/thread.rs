//! The thread that commits, and the one that checkpoints.
//!
//! It commits all queued entries in one transaction, so that their writers share
//! the cost of the commit, and replies after the commit. A failed sync stops it:
//! all later appends fail, nothing is retried, and
//! [`Journal::stopped`](crate::Journal::stopped) lets the host exit.
//!
//! A checkpoint copies and syncs megabytes, so another thread runs it meanwhile.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;
use std::time::Instant;

use tokio::sync::watch;

use super::metrics::WriterMetrics;
use super::queue::{self, Batch, Receiver, Sender};
use super::turns::Piece;
use crate::error::JournalError;
use crate::store::{AppendResult, JournalStore, StoreError};

/// Starts the threads. They end when every sender is dropped.
pub(crate) fn start(
    store: Arc<dyn JournalStore>,
    stopped: watch::Sender<Option<String>>,
    metrics: WriterMetrics,
) -> Result<Sender, JournalError> {
    let (sender, entries) = queue::queue();
    let stopped = Arc::new(Stopped(stopped));
    let (due, dues) = mpsc::sync_channel(1);
    let checkpointer = Checkpointer {
        store: Arc::clone(&store),
        stopped: Arc::clone(&stopped),
    };
    let committer = Committer {
        store,
        stopped,
        checkpoint_due: due,
        metrics,
    };
    spawn("orwd-journal", move || committer.run(&entries))?;
    spawn("orwd-checkpoint", move || checkpointer.run(&dues))?;
    Ok(sender)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), JournalError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| JournalError::Io(format!("cannot start its thread: {error}")))
}

/// The reason why nothing is written any more, if that is so.
struct Stopped(watch::Sender<Option<String>>);

impl Stopped {
    fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Stops writing for this reason. Returns false if it was stopped before.
    fn stop(&self, why: String) -> bool {
        self.0.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                *stopped = Some(why);
            }
            first
        })
    }
}

struct Committer {
    store: Arc<dyn JournalStore>,
    stopped: Arc<Stopped>,
    checkpoint_due: SyncSender<()>,
    metrics: WriterMetrics,
}

impl Committer {
    fn run(self, queue: &Receiver) {
        while let Some(mut batch) = queue.take(|| self.store.is_congested()) {
            let close = batch.close.take();
            let piece = batch.piece.take();
            self.commit(batch);
            if let Some(piece) = piece {
                self.stage(queue, piece);
            }
            if self.store.is_checkpoint_due()
                && let Err(TrySendError::Disconnected(())) = self.checkpoint_due.try_send(())
            {
                tracing::error!("journal checkpoints have stopped");
            }
            if let Some(reply) = close {
                let first = self.stopped.stop("it was closed".to_owned());
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
        let results = self.write(entries.len(), || self.store.append(&entries));
        match results {
            Ok(results) => {
                let appended = |result: &&AppendResult| **result == AppendResult::Appended;
                self.metrics
                    .appended(results.iter().filter(appended).count());
                for ((entry, reply), result) in entries.iter().zip(replies).zip(results) {
                    if let Some(reply) = reply {
                        // The writer may have dropped its future.
                        let _ = reply.send(entry.check(result));
                    }
                }
            }
            Err(error) => {
                for reply in replies.into_iter().flatten() {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Writes a piece of a large entry. After a failure the entry is refused.
    fn stage(&self, queue: &Receiver, piece: Piece) {
        let staged = self.write(1, || {
            let Piece {
                episode,
                seq,
                offset,
                bytes,
            } = &piece;
            self.store.stage(*episode, *seq, *offset, bytes)
        });
        if let Err(error) = staged
            && let Some(reply) = queue.abandon(&piece)
        {
            let _ = reply.send(Err(error));
        }
    }

    /// Writes to the store, unless it has stopped.
    fn write<T>(
        &self,
        records: usize,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, JournalError> {
        if let Some(why) = self.stopped.reason() {
            return Err(JournalError::Stopped(why));
        }
        let start = Instant::now();
        let written = write();
        self.metrics.written(written.is_ok(), start.elapsed());
        written.map_err(|error| {
            tracing::error!(%error, records, "journal append failed");
            if let StoreError::Sync(why) = &error {
                self.stopped.stop(why.clone());
            }
            JournalError::from(error)
        })
    }
}

struct Checkpointer {
    store: Arc<dyn JournalStore>,
    stopped: Arc<Stopped>,
}

impl Checkpointer {
    fn run(self, due: &mpsc::Receiver<()>) {
        while due.recv().is_ok() {
            if self.stopped.reason().is_some() {
                continue;
            }
            match self.store.checkpoint() {
                Ok(()) => {}
                Err(StoreError::Sync(why)) => {
                    self.stopped.stop(why);
                }
                // The next checkpoint does its work.
                Err(error) => tracing::warn!(%error, "journal checkpoint failed"),
            }
        }
    }
}
