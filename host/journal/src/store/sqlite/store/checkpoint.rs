//! Checkpoints: the write-ahead log is copied into the database beside appends, and
//! emptied when it has grown large.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use orwd_model::Durability;
use rusqlite::Connection;

use super::sqlite_store::{PAGE, SqliteStore};
use crate::store::api::StoreError;
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::open;

/// Bytes of the write-ahead log after which a checkpoint runs.
const CHECKPOINT_BYTES: usize = 4 << 20;

/// Bytes of the write-ahead log after which large records wait for the
/// checkpoint.
const CONGESTION_BYTES: usize = 16 << 20;

/// Bytes that a checkpoint copies while appends wait.
const LAST_CHECKPOINT_BYTES: usize = 512 << 10;

/// Bytes of the write-ahead log above which it is emptied. It begins anew by
/// itself only when nobody reads.
const MAX_WAL_BYTES: usize = 64 << 20;

/// How often a checkpoint runs beside appends before they have to wait.
const MAX_CHECKPOINTS: u32 = 4;

impl SqliteStore {
    /// Whether large records have to wait for a checkpoint.
    pub(super) fn is_wal_congested(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= CONGESTION_BYTES
    }

    /// Whether a checkpoint is due.
    pub(super) fn is_wal_due(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= CHECKPOINT_BYTES
    }

    /// Runs a checkpoint if one is due.
    pub(super) fn checkpoint_wal(&self) -> Result<(), StoreError> {
        if !self.is_wal_due() {
            return Ok(());
        }
        // With syncs in each batch, a failed one must stop the batches at once.
        if self.durability == Durability::Process {
            self.checkpoint_beside_appends()?;
        }
        let mut writer = self.writer();
        if writer.failed || writer.connection.is_none() {
            return Ok(());
        }
        // Even if it fails: the next attempt is one interval away.
        writer.wal_bytes = 0;
        self.count_wal(&mut writer, 0);
        let result = checkpoint(writer.connection()?);
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        drop(writer);
        if result? > MAX_WAL_BYTES {
            self.empty_wal()?;
        }
        Ok(())
    }

    /// Copies the write-ahead log with a separate connection, until so little is
    /// left that appends can wait for it.
    fn checkpoint_beside_appends(&self) -> Result<(), StoreError> {
        let checkpointer = self.checkpointer.lock();
        let mut checkpointer = checkpointer.unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MAX_CHECKPOINTS {
            let before = {
                let writer = self.writer();
                if writer.failed || writer.connection.is_none() {
                    return Ok(());
                }
                writer.wal_bytes
            };
            if before < LAST_CHECKPOINT_BYTES {
                break;
            }
            if checkpointer.is_none() {
                let opened = open::for_checkpoints(&self.dir);
                *checkpointer = Some(opened.map_err(|error| store_error(&error))?);
            }
            let Some(connection) = checkpointer.as_ref() else {
                break;
            };
            let result = checkpoint(connection);
            let mut writer = self.writer();
            if matches!(result, Err(StoreError::Sync(_))) {
                writer.failed = true;
            }
            result?;
            writer.wal_bytes = writer.wal_bytes.saturating_sub(before);
            self.count_wal(&mut writer, 0);
        }
        Ok(())
    }

    /// Empties the write-ahead log, after the readers of this process. Others, such
    /// as an export, are not waited for.
    fn empty_wal(&self) -> Result<(), StoreError> {
        let _alone = self.reading.write().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer();
        if writer.failed || writer.connection.is_none() {
            return Ok(());
        }
        let connection = writer.connection()?;
        let empty = || -> rusqlite::Result<()> {
            connection.busy_timeout(Duration::ZERO)?;
            let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            connection.busy_timeout(open::BUSY_TIMEOUT)?;
            emptied
        };
        let result = empty().map_err(|error| store_error(&error));
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        result
    }
}

/// Copies what it can of the write-ahead log into the database, and syncs both.
/// Returns the bytes of the log.
fn checkpoint(connection: &Connection) -> Result<usize, StoreError> {
    let pages: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1));
    let pages = pages.map_err(|error| store_error(&error))?;
    Ok(usize::try_from(pages)
        .unwrap_or_default()
        .saturating_mul(PAGE))
}
