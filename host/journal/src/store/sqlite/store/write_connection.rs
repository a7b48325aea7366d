//! The connection that writes, and what it remembers between transactions.

use orwd_model::Durability;
use rusqlite::{Connection, Transaction};

use crate::store::api::{AppendEntry, AppendResult, StoreError};
use crate::store::sqlite::batch::{self, IndexCache};
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::open;
use crate::store::sqlite::records::pieces::{self, StagedPieces};
use crate::store::usage::UsageLedger;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct WriteConnection {
    /// `None` once it is closed.
    pub(super) connection: Option<Connection>,
    pub(super) cache: IndexCache,
    pub(super) staged: StagedPieces,
    /// Bytes of the write-ahead log since the last checkpoint, about.
    pub(super) wal_bytes: usize,
    /// A sync failed: the database must not be changed any more.
    pub(super) failed: bool,
}

impl WriteConnection {
    pub(super) fn new(connection: Connection) -> WriteConnection {
        WriteConnection {
            connection: Some(connection),
            cache: IndexCache::default(),
            staged: StagedPieces::default(),
            wal_bytes: 0,
            failed: false,
        }
    }

    /// Fails after a failed sync.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Sync("a sync failed before".to_owned()));
        }
        Ok(())
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        self.connection.as_mut().ok_or_else(closed)
    }

    /// Runs a transaction that changes no row of the index.
    pub(super) fn run<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.connection()?;
        let run = || -> rusqlite::Result<T> {
            let transaction = open::immediate(connection)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let result = run().map_err(|error| store_error(&error));
        self.failed = matches!(result, Err(StoreError::Sync(_)));
        result
    }

    /// Sets whether commits are synced, for a journal whose commits are.
    pub(super) fn set_synced(
        &mut self,
        durability: Durability,
        synced: bool,
    ) -> Result<(), StoreError> {
        if durability != Durability::Power {
            return Ok(());
        }
        let level = if synced { "full" } else { "normal" };
        let set = self.connection()?.pragma_update(None, "synchronous", level);
        set.map_err(|error| store_error(&error))
    }

    /// Appends a batch. Returns the results and the number of commits. Pieces of
    /// records that were not stored are removed.
    pub(super) fn append(
        &mut self,
        usage: &UsageLedger,
        batch: &[AppendEntry],
    ) -> Result<(Vec<AppendResult>, u64), StoreError> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        let result = batch::append(connection, &mut self.cache, usage, &self.staged, batch);
        let result = result.map_err(StoreError::from);
        if result.is_err() {
            self.cache.clear();
        }
        self.failed = matches!(result, Err(StoreError::Sync(_)));
        for (at, entry) in batch.iter().enumerate() {
            let Some(pieces) = self.staged.take(entry.episode, entry.seq) else {
                continue;
            };
            let results = result.as_ref().ok();
            let appended = results.and_then(|(results, _)| results.get(at));
            if appended != Some(&AppendResult::Appended) && !self.failed {
                self.discard(&pieces);
            }
        }
        result
    }

    /// Removes pieces of a record that is not stored. If that fails, the next
    /// start removes them.
    pub(super) fn discard(&mut self, pieces: &pieces::Pieces) {
        let discarded = self.run(|transaction| pieces::discard(transaction, pieces));
        if let Err(error) = discarded {
            tracing::warn!(%error, "parts of a refused record stay until the next start");
        }
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Io("the journal is closed".to_owned())
}
