//! The store: one connection that writes, and a pool of connections that read.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use orwd_model::Durability;
use rusqlite::{Connection, Transaction};

use super::write_connection::{WriteConnection, closed};
use crate::error::JournalError;
use crate::state_dir::{self, StateDir, StateLock};
use crate::store::api::StoreError;
use crate::store::space::SpaceProbe;
use crate::store::sqlite::error::store_error;
use crate::store::sqlite::records::pieces;
use crate::store::sqlite::recovery::commit_count::CommitCount;
use crate::store::sqlite::{index, open};
use crate::store::usage::UsageLedger;

/// Bytes of a page of the database.
pub(super) const PAGE: usize = 4096;

/// What a transaction writes in addition to its records, about: pages of the
/// index, the checksum, and one new page.
pub(super) const TRANSACTION_BYTES: usize = 6 * PAGE;

/// Read connections that are kept open.
const MAX_SPARE: usize = 4;

/// Records and their index in a SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) dir: StateDir,
    writer: Mutex<WriteConnection>,
    readers: Mutex<ReadPool>,
    /// Held by readers, and exclusively while the write-ahead log is emptied.
    pub(super) reading: RwLock<()>,
    pub(super) usage: UsageLedger,
    pub(super) space: SpaceProbe,
    pub(super) durability: Durability,
    /// Copies the write-ahead log beside appends; `None` until the first
    /// checkpoint.
    pub(super) checkpointer: Mutex<Option<Connection>>,
    /// Bytes of the write-ahead log, about, as the last writer left them.
    pub(super) wal_bytes: AtomicUsize,
    /// `None` for a visitor, which reads or imports beside a running host.
    pub(super) lock: Option<StateLock>,
    /// `None` for a visitor.
    commits: Option<CommitCount>,
}

/// Idle connections for reading.
#[derive(Debug, Default)]
pub(super) struct ReadPool {
    pub(super) spare: Vec<Connection>,
    pub(super) closed: bool,
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
        let mut store = SqliteStore::new(dir, connection, durability, Some(lock))?;
        let committed = store.verify_index()?;
        store.check_commits(&commits, committed, durability)?;
        store.commits = Some(commits);
        pieces::discard_all(store.writer().connection()?).map_err(|error| store_error(&error))?;
        store.resume_purges()?;
        Ok(store)
    }

    /// Opens an existing journal beside a host that may be running, to read it or
    /// to import episodes.
    pub fn visit(dir: &Path) -> Result<SqliteStore, JournalError> {
        let dir = StateDir::open_existing(dir)?;
        let connection = open::for_visitor(&dir)?;
        SqliteStore::new(dir, connection, Durability::Power, None)
    }

    fn new(
        dir: StateDir,
        connection: Connection,
        durability: Durability,
        lock: Option<StateLock>,
    ) -> Result<SqliteStore, JournalError> {
        let path = dir.path();
        let space = SpaceProbe::open(path).map_err(|error| state_dir::io_error(path, &error))?;
        Ok(SqliteStore {
            dir,
            writer: Mutex::new(WriteConnection::new(connection)),
            readers: Mutex::default(),
            reading: RwLock::default(),
            usage: UsageLedger::default(),
            space,
            durability,
            checkpointer: Mutex::default(),
            wal_bytes: AtomicUsize::new(0),
            lock,
            commits: None,
        })
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
    pub(super) fn note_commits(&self, committed: u64) {
        if let Some(Err(error)) = self.commits.as_ref().map(|noted| noted.write(committed)) {
            // The journal is complete; only a later loss would go unnoticed.
            tracing::debug!(%error, "number of commits not noted");
        }
    }

    /// Reads the whole index, compares it with its checksum, and sums the bytes of
    /// the owners. Returns the number of commits.
    fn verify_index(&self) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let transaction = writer
            .connection()?
            .transaction()
            .map_err(|error| store_error(&error))?;
        let commits = index::verify(&transaction)?;
        let usage = index::usage(&transaction).map_err(|error| store_error(&error))?;
        self.usage.reset(usage);
        Ok(commits)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, WriteConnection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction beside the batches, unless a sync failed before.
    pub(super) fn run_beside<T>(
        &self,
        write: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        writer.cache.clear();
        let result = write(writer.connection()?);
        writer.failed = matches!(result, Err(StoreError::Sync(_)));
        self.count_wal(&mut writer, TRANSACTION_BYTES);
        result
    }

    /// Counts bytes of the write-ahead log.
    pub(super) fn count_wal(&self, writer: &mut WriteConnection, bytes: usize) {
        writer.wal_bytes += bytes;
        self.wal_bytes.store(writer.wal_bytes, Ordering::Relaxed);
    }

    /// Runs a transaction that changes no row of the index.
    pub(super) fn run_write(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let result = writer.run(write);
        self.count_wal(&mut writer, TRANSACTION_BYTES);
        result
    }

    /// Reads with a separate connection, so that reads never wait for a commit.
    pub(super) fn run_read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _reading = self.reading.read().unwrap_or_else(PoisonError::into_inner);
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
