//! The store: one connection that writes, and a pool of connections that read.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use orwd_model::SessionId;
use rusqlite::{Connection, Transaction};

use super::batch::{self, IndexCache};
use super::error::store_error;
use super::recovery::commit_count::CommitCount;
use super::{imports, index, open, purge, records};
use crate::error::JournalError;
use crate::record::EpisodeId;
use crate::state_dir::{self, StateDir, StateLock};
use crate::store::api::{
    AppendEntry, AppendResult, EpisodeFilter, IndexedEpisode, JournalStore, StoreError,
    StoredRecord,
};
use crate::store::import_origin::ImportedReceipt;
use orwd_model::Durability;

/// Bytes of the write-ahead log after which a checkpoint runs.
const CHECKPOINT_BYTES: usize = 4 << 20;

/// Bytes of a page of the database.
const PAGE: usize = 4096;

/// What a transaction writes in addition to its records, about: pages of the
/// index, the checksum, and one new page.
const TRANSACTION_BYTES: usize = 6 * PAGE;

/// The overhead of a record, about.
const RECORD_OVERHEAD: usize = 512;

/// The pause between two transactions of a purge.
const PURGE_PAUSE: Duration = Duration::from_millis(1);

/// Read connections that are kept open.
const MAX_SPARE: usize = 4;

/// Records and their index in a SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) dir: StateDir,
    writer: Mutex<WriteConnection>,
    readers: Mutex<ReadPool>,
    /// `None` for a visitor, which reads or imports beside a running host.
    pub(super) lock: Option<StateLock>,
    /// `None` for a visitor.
    commits: Option<CommitCount>,
}

/// The connection that writes.
#[derive(Debug)]
pub(super) struct WriteConnection {
    /// `None` once it is closed.
    pub(super) connection: Option<Connection>,
    cache: IndexCache,
    /// Bytes of the write-ahead log since the last checkpoint, about.
    wal_bytes: usize,
    /// A sync failed: the database must not be changed any more.
    pub(super) failed: bool,
}

/// Idle connections for reading.
#[derive(Debug, Default)]
pub(super) struct ReadPool {
    pub(super) spare: Vec<Connection>,
    pub(super) closed: bool,
}

impl WriteConnection {
    /// Fails after a failed sync.
    fn check(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Sync("a sync failed before".to_owned()));
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        self.connection.as_mut().ok_or_else(closed)
    }

    fn parts(&mut self) -> Result<(&mut Connection, &mut IndexCache), StoreError> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        Ok((connection, &mut self.cache))
    }
}

fn closed() -> StoreError {
    StoreError::Io("the journal is closed".to_owned())
}

impl SqliteStore {
    /// Opens the journal of this directory for a host, and locks the directory.
    /// Creates the journal if there is none.
    pub fn open(dir: &Path, durability: Durability) -> Result<SqliteStore, JournalError> {
        SqliteStore::open_with_pages(dir, durability, PAGE)
    }

    /// The same with a page size for a new database.
    pub(crate) fn open_with_pages(
        dir: &Path,
        durability: Durability,
        page: usize,
    ) -> Result<SqliteStore, JournalError> {
        let dir = StateDir::open(dir)?;
        let lock = dir.lock()?;
        let connection = open::for_host(&dir, durability, page)?;
        let commits = CommitCount::open(&dir)?;
        let mut store = SqliteStore::new(dir, connection, Some(lock));
        let committed = store.verify_index()?;
        store.check_commits(&commits, committed, durability)?;
        store.commits = Some(commits);
        store.resume_purges()?;
        Ok(store)
    }

    /// Opens an existing journal beside a host that may be running, to read it or
    /// to import episodes.
    pub fn visit(dir: &Path) -> Result<SqliteStore, JournalError> {
        let dir = StateDir::open_existing(dir)?;
        let connection = open::for_visitor(&dir)?;
        Ok(SqliteStore::new(dir, connection, None))
    }

    fn new(dir: StateDir, connection: Connection, lock: Option<StateLock>) -> SqliteStore {
        let writer = WriteConnection {
            connection: Some(connection),
            cache: IndexCache::default(),
            wal_bytes: 0,
            failed: false,
        };
        SqliteStore {
            dir,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            lock,
            commits: None,
        }
    }

    /// Returns the state directory.
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Refuses a journal whose last commits are missing, if they were synced.
    /// Without syncs a loss of power may have taken them, so they are reported.
    fn check_commits(
        &self,
        noted: &CommitCount,
        committed: u64,
        durability: Durability,
    ) -> Result<(), JournalError> {
        let path = self.dir.commits();
        let io = |error: std::io::Error| state_dir::io_error(&path, &error);
        let missing = noted
            .read()
            .map_err(io)?
            .map_or(0, |noted| noted.saturating_sub(committed));
        if missing > 0 {
            if durability == Durability::Power {
                return Err(JournalError::damaged_index(format!(
                    "the last {missing} batches that were acknowledged are missing: the \
                     write-ahead log was truncated, or an older copy of the journal was put in \
                     its place; to continue without them, start once with --durability process"
                )));
            }
            tracing::error!(
                missing_batches = missing,
                "journal rolled back: acknowledged records are missing; power was lost, the \
                 write-ahead log was truncated, or an older copy was put in its place"
            );
        }
        noted.write(committed).map_err(io)
    }

    /// Notes the number of commits beside the journal.
    fn note_commits(&self, committed: u64) {
        if let Some(Err(error)) = self.commits.as_ref().map(|noted| noted.write(committed)) {
            // The journal is complete; only a later loss would go unnoticed.
            tracing::debug!(%error, "number of commits not noted");
        }
    }

    /// Reads the whole index and compares it with its checksum. Returns the
    /// number of commits.
    fn verify_index(&self) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let transaction = writer
            .connection()?
            .transaction()
            .map_err(|error| store_error(&error))?;
        index::verify(&transaction)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, WriteConnection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the records of an episode that the index no longer has. Other
    /// writers can run in between.
    fn purge_records(&self, episode: EpisodeId) -> Result<(), StoreError> {
        while self.run_purge(|connection| purge::step(connection, episode))? {
            thread::sleep(PURGE_PAUSE);
        }
        Ok(())
    }

    /// Runs one transaction of a purge, unless a sync failed before.
    fn run_purge<T>(
        &self,
        remove: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        writer.cache.clear();
        let result = remove(writer.connection()?);
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        writer.wal_bytes += TRANSACTION_BYTES;
        result
    }

    /// Purges an episode partially, as a host does that is killed meanwhile.
    #[cfg(test)]
    pub(crate) fn purge_partially(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.run_purge(|connection| purge::begin(connection, episode))?;
        self.run_purge(|connection| purge::step(connection, episode))?;
        Ok(())
    }

    /// Completes the purges that a killed host had begun.
    fn resume_purges(&self) -> Result<(), StoreError> {
        let begun = purge::begun(self.writer().connection()?)?;
        begun
            .into_iter()
            .try_for_each(|episode| self.purge_records(episode))
    }

    /// Runs a transaction that changes no row of the index.
    fn run_write(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let connection = writer.connection()?;
        let run = || -> rusqlite::Result<()> {
            let transaction = open::immediate(connection)?;
            write(&transaction)?;
            transaction.commit()
        };
        let result = run().map_err(|error| store_error(&error));
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        result
    }

    /// Reads with a separate connection, so that reads never wait for a commit.
    fn run_read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let spare = {
            let mut readers = self.readers();
            if readers.closed {
                return Err(closed());
            }
            readers.spare.pop()
        };
        let mut connection = match spare {
            Some(connection) => connection,
            None => open::for_reading(&self.dir).map_err(|error| store_error(&error))?,
        };
        let transaction = connection
            .transaction()
            .map_err(|error| store_error(&error))?;
        let result = read(&transaction)?;
        drop(transaction);
        let mut readers = self.readers();
        if readers.spare.len() < MAX_SPARE && !readers.closed {
            readers.spare.push(connection);
        }
        Ok(result)
    }

    pub(super) fn readers(&self) -> MutexGuard<'_, ReadPool> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalStore for SqliteStore {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let (connection, cache) = writer.parts()?;
        let result = batch::append(connection, cache, batch).map_err(StoreError::from);
        if result.is_err() {
            cache.clear();
        }
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        let (results, committed) = result?;
        self.note_commits(committed);
        let bytes: usize = batch
            .iter()
            .map(|entry| entry.bytes.len() + RECORD_OVERHEAD)
            .sum();
        writer.wal_bytes += bytes + TRANSACTION_BYTES;
        Ok(results)
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.run_read(|transaction| {
            let Some(row) = index::row(transaction, episode)? else {
                return Ok(Vec::new());
            };
            records::read_from(transaction, &row, from)
        })
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| {
            let row = index::row(transaction, episode)?;
            Ok(row.map(|row| row.episode))
        })
    }

    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| index::find(transaction, owner, session))
    }

    fn list(&self, filter: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError> {
        self.run_read(|transaction| index::list(transaction, filter))
    }

    fn get_or_insert(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut writer = self.writer();
        let connection = writer.connection()?;
        let mut insert = || -> rusqlite::Result<Vec<u8>> {
            let transaction = open::immediate(connection)?;
            transaction.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (name, fresh),
            )?;
            let value = index::meta(&transaction, name)?.unwrap_or_default();
            transaction.commit()?;
            Ok(value)
        };
        insert().map_err(|error| store_error(&error))
    }

    fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run_write(|transaction| index::set_meta(transaction, name, value))
    }

    fn set_receipts(
        &self,
        episode: EpisodeId,
        receipts: &[ImportedReceipt],
    ) -> Result<(), StoreError> {
        self.run_write(|transaction| imports::set_receipts(transaction, episode, receipts))
    }

    fn receipts(&self, episode: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError> {
        self.run_read(|transaction| {
            imports::receipts(transaction, episode).map_err(|error| store_error(&error))
        })
    }

    fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, StoreError> {
        self.run_read(|transaction| {
            imports::receipt_keys(transaction, episode).map_err(|error| store_error(&error))
        })
    }

    fn purge(&self, episode: EpisodeId) -> Result<(), StoreError> {
        let begun = self.run_purge(|connection| purge::begin(connection, episode))?;
        if begun {
            self.purge_records(episode)?;
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if writer.wal_bytes < CHECKPOINT_BYTES || writer.failed {
            return Ok(());
        }
        // Even if it fails: the next attempt is one interval away.
        writer.wal_bytes = 0;
        let result: rusqlite::Result<()> =
            writer
                .connection()?
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        result.map_err(|error| {
            let error = store_error(&error);
            writer.failed = matches!(error, StoreError::Sync(_));
            error
        })
    }

    fn close(&self) -> Result<(), StoreError> {
        self.shut()
    }
}
