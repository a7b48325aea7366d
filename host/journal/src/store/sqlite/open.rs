//! Opening and creating the database.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::store_error;
use super::index;
use super::migrate;
use super::recovery::wal_check::{self, WalState};
use crate::error::JournalError;
use crate::state_dir::{self, StateDir};
use crate::store::api::StoreError;
use orwd_model::Durability;

/// The application id of our databases: `orwd`.
const APPLICATION_ID: i32 = 0x6f72_7764;

/// The version of the tables.
const VERSION: i32 = 3;

/// The statements that bring the tables from each version to the next one, from
/// version 1 on. Their result must be [`SCHEMA`].
const MIGRATIONS: [&[&str]; VERSION as usize - 1] = [
    &[
        "ALTER TABLE episodes ADD COLUMN imported INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE episodes ADD COLUMN mapped BLOB",
        RECEIPTS,
    ],
    &[
        "ALTER TABLE episodes ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0",
        COUNT_BYTES,
        FORKS,
        SHARED,
        REMAINS,
        PIECES,
        STAGED,
        ENDED_FIRST,
    ],
];

/// The receipts that came with imported episodes.
const RECEIPTS: &str = "CREATE TABLE receipts (episode BLOB NOT NULL, number INTEGER NOT NULL, \
     key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (episode, number)) STRICT, WITHOUT ROWID";

/// The bytes of episodes in a journal that has none, as the store counts them.
const COUNT_BYTES: &str = "UPDATE episodes SET bytes = 768 + sizes.size FROM \
     (SELECT episode, sum(iif(length(bytes) <= 1920, length(bytes) + 128, \
     (length(bytes) + 4223) / 4096 * 4096)) AS size FROM records GROUP BY episode) AS sizes \
     WHERE sizes.episode = episodes.id";

/// Which records forks share.
const FORKS: &str = "CREATE TABLE forks (child BLOB PRIMARY KEY, parent BLOB NOT NULL, \
     upto INTEGER NOT NULL, first INTEGER NOT NULL) STRICT, WITHOUT ROWID";
const SHARED: &str = "CREATE INDEX shared ON forks (parent, upto)";

/// What remains of purged episodes.
const REMAINS: &str = "CREATE TABLE remains (episode BLOB PRIMARY KEY, owner TEXT, \
     place INTEGER NOT NULL, seq INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID";

/// Pieces of large records, and those whose record is not written.
const PIECES: &str = "CREATE TABLE pieces (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT";
const STAGED: &str = "CREATE TABLE staged (place INTEGER PRIMARY KEY) STRICT";

/// The ended episodes of an owner in the order of their ends.
const ENDED_FIRST: &str =
    "CREATE INDEX ended_first ON episodes (owner, ended) WHERE ended IS NOT NULL";

/// The tables, in the form in which the database stores them, for comparison.
const SCHEMA: [&str; 12] = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE episodes (id BLOB PRIMARY KEY, owner TEXT, session TEXT NOT NULL, \
     environment TEXT NOT NULL, component BLOB NOT NULL, created INTEGER NOT NULL, \
     ended INTEGER, head INTEGER NOT NULL, tip BLOB NOT NULL, last INTEGER NOT NULL, \
     hash BLOB NOT NULL, imported INTEGER NOT NULL DEFAULT 0, mapped BLOB, \
     bytes INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX live_names ON episodes (session, ifnull(owner, ''), owner IS NULL) \
     WHERE ended IS NULL",
    "CREATE INDEX names ON episodes (session, id)",
    "CREATE TABLE records (place INTEGER PRIMARY KEY, episode BLOB NOT NULL, \
     seq INTEGER NOT NULL, before INTEGER NOT NULL, link BLOB NOT NULL, \
     bytes BLOB NOT NULL) STRICT",
    RECEIPTS,
    FORKS,
    SHARED,
    REMAINS,
    PIECES,
    STAGED,
    ENDED_FIRST,
];

/// How long to wait for another writer, such as an import.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a connection for the host. Creates the database if there never was one.
pub(super) fn for_host(
    dir: &StateDir,
    durability: Durability,
    page: usize,
) -> Result<Connection, JournalError> {
    let exists = dir.has_journal()?;
    let path = dir.journal();
    // SQLite creates its other files with the mode of this one.
    let file =
        state_dir::open_private(&path).map_err(|error| state_dir::io_error(&path, &error))?;
    let empty = file
        .metadata()
        .map_err(|error| state_dir::io_error(&path, &error))?
        .len()
        == 0;
    drop(file);
    if exists && empty {
        return Err(JournalError::damaged_index(format!(
            "{} is empty, and was not",
            path.display()
        )));
    }
    if exists {
        check_wal(dir, durability)?;
    }
    let sqlite = |error: rusqlite::Error| JournalError::from(store_error(&error));
    let mut connection = connect(dir).map_err(sqlite)?;
    if !exists {
        // Has an effect only before the first page is written.
        connection
            .pragma_update(None, "page_size", page as i64)
            .map_err(sqlite)?;
        create(&mut connection).map_err(sqlite)?;
    }
    migrate(&mut connection)?;
    check(&connection)?;
    configure(&connection, durability).map_err(sqlite)?;
    if !exists {
        dir.write_marker()?;
    }
    Ok(connection)
}

/// Refuses a damaged write-ahead log. A log whose batches are not synced may have
/// holes after a loss of power; SQLite then truncates it at the first one.
fn check_wal(dir: &StateDir, durability: Durability) -> Result<(), JournalError> {
    let path = dir.wal();
    let what =
        match wal_check::examine(&path).map_err(|error| state_dir::io_error(&path, &error))? {
            WalState::Intact => return Ok(()),
            WalState::InvalidHeader => format!("the header of {} is invalid", path.display()),
            WalState::Hole(frame) => format!(
                "frame {frame} of {} is invalid, and later ones are valid",
                path.display()
            ),
        };
    if durability == Durability::Power {
        return Err(JournalError::damaged_index(what));
    }
    tracing::error!(
        reason = what,
        "journal truncated: the disk is damaged or power was lost; the last records are missing"
    );
    Ok(())
}

/// Opens a connection beside a host that may be running.
pub(super) fn for_visitor(dir: &StateDir) -> Result<Connection, JournalError> {
    if !dir.has_journal()? {
        return Err(JournalError::Io(format!(
            "there is no journal in {}",
            dir.path().display()
        )));
    }
    let sqlite = |error: rusqlite::Error| JournalError::from(store_error(&error));
    let mut connection = connect(dir).map_err(sqlite)?;
    if earlier_version(&connection)?.is_some() {
        let _lock = dir.lock()?;
        migrate(&mut connection)?;
    }
    check(&connection)?;
    configure(&connection, Durability::Power).map_err(sqlite)?;
    Ok(connection)
}

/// Opens another connection for reading.
pub(super) fn for_reading(dir: &StateDir) -> rusqlite::Result<Connection> {
    let connection = connect(dir)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens another connection for checkpoints.
pub(super) fn for_checkpoints(dir: &StateDir) -> rusqlite::Result<Connection> {
    let connection = connect(dir)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

fn connect(dir: &StateDir) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.journal(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The content of the file is not trusted.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // After a failed sync no checkpoint may run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Creates the tables before the database has a write-ahead log: they are then in
/// the database file, so that an empty file is known to be damaged. Runs again
/// if the host was killed meanwhile.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = immediate(connection)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // The check that follows refuses a database of another program.
    if version == 0 && tables == 0 {
        for statement in SCHEMA {
            transaction.execute_batch(statement)?;
        }
        index::init_checksum(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Brings the tables of an earlier version to this one. No record changes: the
/// new columns have defaults that mean "as before". The directory must be locked,
/// since an earlier host cannot read the new tables.
fn migrate(connection: &mut Connection) -> Result<(), JournalError> {
    let Some(done) = earlier_version(connection)? else {
        return Ok(());
    };
    let sqlite = |error: rusqlite::Error| JournalError::from(store_error(&error));
    let transaction = immediate(connection).map_err(sqlite)?;
    for statement in MIGRATIONS.iter().skip(done).copied().flatten() {
        transaction.execute_batch(statement).map_err(sqlite)?;
    }
    migrate::move_purges(&transaction).map_err(sqlite)?;
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(sqlite)?;
    transaction.commit().map_err(sqlite)?;
    tracing::info!(version = VERSION, "journal tables upgraded");
    Ok(())
}

/// Returns the number of migrations that the tables of an earlier version have
/// had; `None` for any other database.
fn earlier_version(connection: &Connection) -> Result<Option<usize>, JournalError> {
    let version = number(connection, "user_version")?;
    let ours = number(connection, "application_id")? == APPLICATION_ID;
    let earlier = ours && (1..VERSION).contains(&version);
    Ok(usize::try_from(version - 1).ok().filter(|_| earlier))
}

fn number(connection: &Connection, name: &str) -> Result<i32, StoreError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(|error| store_error(&error))
}

/// Refuses a database that is not a journal, or one of another version.
fn check(connection: &Connection) -> Result<(), JournalError> {
    if number(connection, "application_id")? != APPLICATION_ID {
        return Err(JournalError::damaged_index(
            "the database is not a journal of orwd",
        ));
    }
    let version = number(connection, "user_version")?;
    if version != VERSION {
        return Err(JournalError::Io(format!(
            "the journal is of version {version}, and this orwd reads version {VERSION}"
        )));
    }
    let schema = || -> rusqlite::Result<Vec<String>> {
        // Without the tables that SQLite creates itself.
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        let lines = statement.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    let mut found = schema().map_err(|error| JournalError::from(store_error(&error)))?;
    let mut expected = SCHEMA.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    if found == expected {
        Ok(())
    } else {
        Err(JournalError::damaged_index(
            "its tables are not those of a journal",
        ))
    }
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let synchronous = match durability {
        Durability::Power => "full",
        // Checkpoints are still synced, so that a loss of power costs the end of
        // the journal and not all of it.
        Durability::Process | Durability::None => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// Begins a transaction that takes the write lock at once.
pub(super) fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}
