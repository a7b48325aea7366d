//! Closing the database: a host that exits normally leaves one file, not three.
//!
//! A checkpoint copies and syncs the write-ahead log, and only then may SQLite
//! remove it. If the checkpoint or an earlier sync failed, the log stays for the
//! next start. A visitor removes no log that holds records.

use std::sync::PoisonError;

use rusqlite::config::DbConfig;

use super::sqlite_store::SqliteStore;
use crate::store::api::StoreError;
use crate::store::sqlite::error::store_error;

impl SqliteStore {
    /// Closes the database, if it is open.
    pub(super) fn shut(&self) -> Result<(), StoreError> {
        let mut readers = self.readers();
        readers.closed = true;
        readers.spare.clear();
        drop(readers);
        // Waits for a checkpoint that runs.
        let checkpointer = self.checkpointer.lock();
        drop(checkpointer.unwrap_or_else(PoisonError::into_inner).take());
        let mut writer = self.writer();
        let failed = writer.failed;
        let Some(connection) = writer.connection.take() else {
            return Ok(());
        };
        if failed {
            return Ok(());
        }
        let checkpointed = if self.lock.is_some() {
            let busy: i64 = connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .map_err(|error| store_error(&error))?;
            busy == 0
        } else {
            let wal = self.dir.wal();
            wal.metadata().is_ok_and(|metadata| metadata.len() == 0)
        };
        if checkpointed {
            connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
                .map_err(|error| store_error(&error))?;
        }
        connection.close().map_err(|(_, error)| store_error(&error))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::warn!(%error, "journal closed without a checkpoint");
        }
    }
}
