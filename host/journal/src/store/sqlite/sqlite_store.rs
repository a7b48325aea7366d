//! The store: one connection that writes, and a pool of connections that read.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use orwd_model::{Durability, SessionId};
use rusqlite::{Connection, Transaction};

use super::batch::{self, IndexCache};
use super::error::store_error;
use super::past::{fork, purge};
use super::records::pieces::{self, StagedPieces};
use super::recovery::commit_count::CommitCount;
use super::{imports, index, open, records};
use crate::error::JournalError;
use crate::record::EpisodeId;
use crate::state_dir::{self, StateDir, StateLock};
use crate::store::api::{
    AppendEntry, AppendResult, EpisodeFilter, IndexChange, IndexedEpisode, JournalStore,
    StoreError, StoredRecord,
};
use crate::store::import_origin::ImportedReceipt;
use crate::store::space::{DiskSpace, SpaceProbe};
use crate::store::usage::UsageLedger;

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
    /// Held by readers, and exclusively while the write-ahead log is emptied.
    reading: RwLock<()>,
    usage: UsageLedger,
    space: SpaceProbe,
    durability: Durability,
    /// Copies the write-ahead log beside appends; `None` until the first
    /// checkpoint.
    pub(super) checkpointer: Mutex<Option<Connection>>,
    /// Bytes of the write-ahead log, about, as the last writer left them.
    wal_bytes: AtomicUsize,
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
    staged: StagedPieces,
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

    /// Runs a transaction that changes no row of the index.
    fn run<T>(
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
    fn set_synced(&mut self, durability: Durability, synced: bool) -> Result<(), StoreError> {
        if durability != Durability::Power {
            return Ok(());
        }
        let level = if synced { "full" } else { "normal" };
        let set = self.connection()?.pragma_update(None, "synchronous", level);
        set.map_err(|error| store_error(&error))
    }

    /// Appends a batch. Returns the results and the number of commits. Pieces of
    /// records that were not stored are removed.
    fn append(
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
    fn discard(&mut self, pieces: &pieces::Pieces) {
        let discarded = self.run(|transaction| pieces::discard(transaction, pieces));
        if let Err(error) = discarded {
            tracing::warn!(%error, "parts of a refused record stay until the next start");
        }
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
        let writer = WriteConnection {
            connection: Some(connection),
            cache: IndexCache::default(),
            staged: StagedPieces::default(),
            wal_bytes: 0,
            failed: false,
        };
        Ok(SqliteStore {
            dir,
            writer: Mutex::new(writer),
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
    fn note_commits(&self, committed: u64) {
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

    /// Removes the records of an episode that the index no longer has, and those
    /// of purged episodes that it alone referred to. Other writers can run in
    /// between.
    fn purge_records(&self, mut episode: EpisodeId) -> Result<(), StoreError> {
        loop {
            match self.purge_step(episode)? {
                purge::Next::More => {}
                purge::Next::Parent(parent) => episode = parent,
                purge::Next::Done => return Ok(()),
            }
            thread::sleep(PURGE_PAUSE);
        }
    }

    fn purge_step(&self, episode: EpisodeId) -> Result<purge::Next, StoreError> {
        self.run_beside(|connection| {
            let (freed, next) = purge::step(connection, episode)?;
            self.usage.remove(freed.owner.as_deref(), freed.bytes);
            Ok(next)
        })
    }

    /// Removes an episode from the index; returns whether it was there.
    fn begin_purge(&self, episode: EpisodeId) -> Result<bool, StoreError> {
        self.run_beside(|connection| {
            let begun = purge::begin(connection, episode)?;
            if let Some(freed) = &begun {
                self.usage.remove(freed.owner.as_deref(), freed.bytes);
            }
            Ok(begun.is_some())
        })
    }

    /// Runs one transaction beside the batches, unless a sync failed before.
    fn run_beside<T>(
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
    fn count_wal(&self, writer: &mut WriteConnection, bytes: usize) {
        writer.wal_bytes += bytes;
        self.wal_bytes.store(writer.wal_bytes, Ordering::Relaxed);
    }

    /// Purges an episode partially, as a host does that is killed meanwhile.
    #[cfg(test)]
    pub(crate) fn purge_partially(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.begin_purge(episode)?;
        self.purge_step(episode)?;
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
        let result = writer.run(write);
        self.count_wal(&mut writer, TRANSACTION_BYTES);
        result
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

    /// Reads with a separate connection, so that reads never wait for a commit.
    fn run_read<T>(
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

impl JournalStore for SqliteStore {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let bytes = batch.iter().map(|entry| {
            let staged = writer.staged.staged(entry.episode, entry.seq);
            entry.bytes.len().saturating_sub(staged) + RECORD_OVERHEAD
        });
        let bytes: usize = bytes.sum();
        let (results, committed) = writer.append(&self.usage, batch)?;
        self.note_commits(committed);
        self.count_wal(&mut writer, bytes + TRANSACTION_BYTES);
        Ok(results)
    }

    fn stage(
        &self,
        episode: EpisodeId,
        seq: u64,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        if offset == 0
            && let Some(earlier) = writer.staged.take(episode, seq)
        {
            writer.discard(&earlier);
        }
        // The commit of the record syncs its pieces too.
        writer.set_synced(self.durability, false)?;
        let staged = writer.run(|transaction| pieces::stage(transaction, bytes));
        writer.set_synced(self.durability, true)?;
        match &staged {
            Ok(place) => writer.staged.add(episode, seq, *place, bytes.len()),
            Err(_) => {
                if let Some(pieces) = writer.staged.take(episode, seq)
                    && !writer.failed
                {
                    writer.discard(&pieces);
                }
            }
        }
        self.count_wal(&mut writer, bytes.len() + TRANSACTION_BYTES);
        staged.map(drop)
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.run_read(|transaction| {
            let Some(row) = index::row(transaction, episode)? else {
                return Ok(Vec::new());
            };
            records::read_from(transaction, &row, from)
        })
    }

    fn scan(
        &self,
        episode: EpisodeId,
        visit: &mut dyn FnMut(StoredRecord) -> bool,
    ) -> Result<(), StoreError> {
        self.run_read(|transaction| match index::row(transaction, episode)? {
            Some(row) => records::scan(transaction, &row, visit),
            None => Ok(()),
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
        if self.begin_purge(episode)? {
            self.purge_records(episode)?;
        }
        Ok(())
    }

    fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError> {
        let plan = self.run_read(|transaction| fork::plan(transaction, parent, upto, children))?;
        let Some(plan) = plan else {
            return Ok(None);
        };
        let begun = self.run_beside(|connection| fork::begin(connection, &plan, children))?;
        let Some((results, committed)) = begun else {
            return Ok(None);
        };
        self.note_commits(committed);
        for (child, result) in children.iter().zip(&results) {
            if let (AppendResult::Appended, IndexChange::Begin(header)) = (result, &child.change) {
                self.usage.add(header.owner.as_deref(), fork::size(child));
            }
        }
        Ok(Some(results))
    }

    fn oldest_ended(&self, owner: Option<&str>, limit: u32) -> Result<Vec<EpisodeId>, StoreError> {
        self.run_read(|transaction| {
            index::oldest_ended(transaction, owner, limit).map_err(|error| store_error(&error))
        })
    }

    fn usage(&self) -> &UsageLedger {
        &self.usage
    }

    fn space(&self) -> Result<DiskSpace, StoreError> {
        let free = self.run_read(|transaction| {
            let pages: i64 = transaction
                .pragma_query_value(None, "freelist_count", |row| row.get(0))
                .map_err(|error| store_error(&error))?;
            Ok(pages.cast_unsigned().saturating_mul(PAGE as u64))
        })?;
        let space = self.space.measure().map_err(|error| {
            StoreError::Io(format!("the free disk space cannot be measured: {error}"))
        })?;
        Ok(DiskSpace {
            available: space.available.saturating_add(free),
            ..space
        })
    }

    fn is_congested(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= CONGESTION_BYTES
    }

    fn is_checkpoint_due(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= CHECKPOINT_BYTES
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        if !self.is_checkpoint_due() {
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

    fn close(&self) -> Result<(), StoreError> {
        self.shut()
    }
}
