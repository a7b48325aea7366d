//! Closing the database: a host that ends in peace leaves one file rather than
//! three.
//!
//! The log is carried over and synced, and only then may SQLite remove it.
//! Where that fails, or a sync has failed before, everything stays as it is:
//! the log is there for the next one who opens it. Whoever only visits leaves
//! no trace where there was none, and touches no log that holds something.

use rusqlite::config::DbConfig;

use super::{SqliteStore, failure};
use crate::store::StoreError;

impl SqliteStore {
    /// Closes it, if that has not been done.
    pub(super) fn shut(&self) -> Result<(), StoreError> {
        let mut readers = self.readers();
        readers.closed = true;
        readers.spare.clear();
        drop(readers);
        let mut writer = self.writer();
        let failed = writer.failed;
        let Some(connection) = writer.connection.take() else {
            return Ok(());
        };
        if failed {
            return Ok(());
        }
        let carried = if self.lock.is_some() {
            let busy: i64 = connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .map_err(|error| failure(&error))?;
            busy == 0
        } else {
            let log = self.dir.log();
            log.metadata().is_ok_and(|metadata| metadata.len() == 0)
        };
        if carried {
            connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
                .map_err(|error| failure(&error))?;
        }
        connection.close().map_err(|(_, error)| failure(&error))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::warn!(%error, "the journal's log stays as it is");
        }
    }
}
