//! The store that a host has by itself: a SQLite database in its directory of
//! state.
//!
//! Records stand one after another in the order in which they came, each with
//! the place of the one before it in its episode, and the index has the place
//! of the last. So a batch of many sessions writes a few neighbouring pages,
//! and a history is read by walking backwards.
//!
//! SQLite checks its log but not its pages, so each line of the index bears a
//! hash, and a *census*, the sum of those hashes, tells whether lines are
//! missing. Records are checked by who reads them, by their chain.
//!
//! Checkpoints are done here and not by SQLite, which would not tell of a sync
//! that failed in one.

mod batch;
mod close;
mod forget;
mod index;
mod log;
mod open;
mod records;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};

use self::batch::Known;
use super::error::JournalError;
use super::facade::Durability;
use super::id::EpisodeId;
use super::state::{StateDir, StateLock};
use super::store::{Entry, Episode, Filter, Put, Row, Store, StoreError};
use orwd_model::SessionId;

/// Bytes of the log after which it is carried over into the database.
const CHECKPOINT: usize = 4 << 20;

/// Bytes of a page of the database.
const PAGE: usize = 4096;

/// What a transaction writes beyond its records, about: pages of the index,
/// the census, and the one page that is begun.
const PAGES: usize = 6 * PAGE;

/// What a record takes beyond its bytes, about.
const LINE: usize = 512;

/// The time between two transactions that remove something.
const BREATH: Duration = Duration::from_millis(1);

/// Connections for reading that are kept open.
const READERS: usize = 4;

/// Records and their index in a SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    dir: StateDir,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    /// None for a visitor, who reads or imports beside a running host.
    lock: Option<StateLock>,
}

#[derive(Debug)]
struct Writer {
    /// None once it is closed.
    connection: Option<Connection>,
    known: Known,
    /// Bytes of the log since the last checkpoint, about.
    log: usize,
    /// A sync failed: the database is left as it is.
    failed: bool,
}

/// Connections for reading that nobody uses just now.
#[derive(Debug, Default)]
struct Readers {
    spare: Vec<Connection>,
    closed: bool,
}

impl Writer {
    /// After a failed sync nothing is written.
    fn check(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Sync("a sync failed before".to_owned()));
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        self.connection.as_mut().ok_or_else(closed)
    }

    fn parts(&mut self) -> Result<(&mut Connection, &mut Known), StoreError> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        Ok((connection, &mut self.known))
    }
}

fn closed() -> StoreError {
    StoreError::Io("the journal is closed".to_owned())
}

impl SqliteStore {
    /// Opens the journal of this directory for a host, which from now on has
    /// the directory for itself; makes one if there is none.
    pub fn open(dir: &Path, durability: Durability) -> Result<SqliteStore, JournalError> {
        SqliteStore::with_pages(dir, durability, PAGE)
    }

    /// Opens it with pages of this size, if it makes one.
    pub(super) fn with_pages(
        dir: &Path,
        durability: Durability,
        page: usize,
    ) -> Result<SqliteStore, JournalError> {
        let dir = StateDir::open(dir)?;
        let lock = dir.lock()?;
        let connection = open::for_host(&dir, durability, page)?;
        let store = SqliteStore::over(dir, connection, Some(lock));
        store.take_census()?;
        store.forget_remains()?;
        Ok(store)
    }

    /// Opens the journal of this directory beside a host that may be running,
    /// to read it or to bring in episodes. There has to be one.
    pub fn visit(dir: &Path) -> Result<SqliteStore, JournalError> {
        let dir = StateDir::existing(dir)?;
        let connection = open::for_visitor(&dir)?;
        Ok(SqliteStore::over(dir, connection, None))
    }

    fn over(dir: StateDir, connection: Connection, lock: Option<StateLock>) -> SqliteStore {
        let writer = Writer {
            connection: Some(connection),
            known: Known::default(),
            log: 0,
            failed: false,
        };
        SqliteStore {
            dir,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            lock,
        }
    }

    /// The directory of state.
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Reads the whole index and holds it against the census.
    fn take_census(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let transaction = writer
            .connection()?
            .transaction()
            .map_err(|error| failure(&error))?;
        index::take_census(&transaction)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the records of an episode that is in the index no more. Others
    /// who write come in between.
    fn forget_rest(&self, episode: EpisodeId) -> Result<(), StoreError> {
        while self.removing(|connection| forget::go_on(connection, episode))? {
            thread::sleep(BREATH);
        }
        Ok(())
    }

    /// One transaction that removes something, unless a sync failed before.
    fn removing<T>(
        &self,
        remove: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        writer.known.clear();
        let done = remove(writer.connection()?);
        writer.failed = matches!(done, Err(StoreError::Sync(_)));
        writer.log += PAGES;
        done
    }

    /// Forgets an episode as far as a host comes that is killed in the middle.
    #[cfg(test)]
    pub(super) fn begin_to_forget(&self, episode: EpisodeId) -> Result<(), StoreError> {
        self.removing(|connection| forget::begin(connection, episode))?;
        self.removing(|connection| forget::go_on(connection, episode))?;
        Ok(())
    }

    /// Ends what a host that was killed had begun to remove.
    fn forget_remains(&self) -> Result<(), StoreError> {
        let remains = forget::remains(self.writer().connection()?)?;
        remains
            .into_iter()
            .try_for_each(|episode| self.forget_rest(episode))
    }

    /// Reads with a connection of its own, so that reading never waits for a
    /// commit.
    fn reading<T>(
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
            None => open::for_reading(&self.dir).map_err(|error| failure(&error))?,
        };
        let transaction = connection.transaction().map_err(|error| failure(&error))?;
        let answer = read(&transaction)?;
        drop(transaction);
        let mut readers = self.readers();
        if readers.spare.len() < READERS && !readers.closed {
            readers.spare.push(connection);
        }
        Ok(answer)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn append(&self, batch: &[Entry]) -> Result<Vec<Put>, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let (connection, known) = writer.parts()?;
        let done = batch::append(connection, known, batch).map_err(|error| match error {
            Failed::Sqlite(error) => failure(&error),
            Failed::Store(error) => error,
        });
        if done.is_err() {
            known.clear();
        }
        writer.failed = matches!(done, Err(StoreError::Sync(_)));
        if done.is_ok() {
            let bytes: usize = batch.iter().map(|entry| entry.bytes.len() + LINE).sum();
            writer.log += bytes + PAGES;
        }
        done
    }

    fn read(&self, episode: EpisodeId, from: u64) -> Result<Vec<Row>, StoreError> {
        self.reading(|transaction| {
            let Some(line) = index::line(transaction, episode)? else {
                return Ok(Vec::new());
            };
            records::from(transaction, &line, from)
        })
    }

    fn episode(&self, episode: EpisodeId) -> Result<Option<Episode>, StoreError> {
        self.reading(|transaction| {
            let line = index::line(transaction, episode)?;
            Ok(line.map(|line| line.episode))
        })
    }

    fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<Episode>, StoreError> {
        self.reading(|transaction| index::find(transaction, owner, session))
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Episode>, StoreError> {
        self.reading(|transaction| index::list(transaction, filter))
    }

    fn keep(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut writer = self.writer();
        let connection = writer.connection()?;
        let mut keep = || -> rusqlite::Result<Vec<u8>> {
            let transaction = immediate(connection)?;
            transaction.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (name, fresh),
            )?;
            let value = index::meta(&transaction, name)?.unwrap_or_default();
            transaction.commit()?;
            Ok(value)
        };
        keep().map_err(|error| failure(&error))
    }

    fn forget(&self, episode: EpisodeId) -> Result<(), StoreError> {
        let begun = self.removing(|connection| forget::begin(connection, episode))?;
        if begun {
            self.forget_rest(episode)?;
        }
        Ok(())
    }

    fn rest(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if writer.log < CHECKPOINT || writer.failed {
            return Ok(());
        }
        // Even if it fails: the next try is as far away as the last.
        writer.log = 0;
        let done: rusqlite::Result<()> =
            writer
                .connection()?
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        done.map_err(|error| {
            let error = failure(&error);
            writer.failed = matches!(error, StoreError::Sync(_));
            error
        })
    }

    fn close(&self) -> Result<(), StoreError> {
        self.shut()
    }
}

/// What went wrong within a transaction.
enum Failed {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sqlite(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}

fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// What an error of SQLite's comes to.
fn failure(error: &rusqlite::Error) -> StoreError {
    let damaged = |what: String| StoreError::Damaged {
        episode: None,
        seq: None,
        what,
    };
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        // A value of another type than was put there.
        return damaged(error.to_string());
    };
    match (code.code, code.extended_code) {
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
            StoreError::Sync(format!("what was written could not be synced: {error}"))
        }
        // The index of the log could not be made larger.
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => damaged(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}
