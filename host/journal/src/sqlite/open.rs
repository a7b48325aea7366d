//! Opening the database, and making it.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure;
use super::index;
use super::log::{self, Log};
use crate::error::JournalError;
use crate::facade::Durability;
use crate::state::{self, StateDir};
use crate::store::StoreError;

/// Tells our databases from others: `orwd`.
const APPLICATION: i32 = 0x6f72_7764;

/// The version of the tables.
const VERSION: i32 = 1;

/// The tables, as they are kept by the database, so that they can be compared.
const SCHEMA: [&str; 5] = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE episodes (id BLOB PRIMARY KEY, owner TEXT, session TEXT NOT NULL, \
     environment TEXT NOT NULL, component BLOB NOT NULL, created INTEGER NOT NULL, \
     ended INTEGER, head INTEGER NOT NULL, tip BLOB NOT NULL, last INTEGER NOT NULL, \
     hash BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX live_names ON episodes (session, ifnull(owner, ''), owner IS NULL) \
     WHERE ended IS NULL",
    "CREATE INDEX names ON episodes (session, id)",
    "CREATE TABLE records (place INTEGER PRIMARY KEY, episode BLOB NOT NULL, \
     seq INTEGER NOT NULL, before INTEGER NOT NULL, link BLOB NOT NULL, \
     bytes BLOB NOT NULL) STRICT",
];

/// How long to wait for somebody who writes at the same time: an import.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection for the host. Makes the database if there never was one.
pub(super) fn for_host(
    dir: &StateDir,
    durability: Durability,
    page: usize,
) -> Result<Connection, JournalError> {
    let there = dir.has_journal()?;
    let path = dir.journal();
    // SQLite gives its other files the mode of this one.
    let file = state::private(&path).map_err(|error| state::unusable(&path, &error))?;
    let empty = file
        .metadata()
        .map_err(|error| state::unusable(&path, &error))?
        .len()
        == 0;
    drop(file);
    if there && empty {
        return Err(JournalError::Damaged {
            episode: None,
            seq: None,
            what: format!("{} is empty, and was not", path.display()),
        });
    }
    if there {
        examine_log(dir, durability)?;
    }
    let sqlite = |error: rusqlite::Error| JournalError::from(failure(&error));
    let mut connection = connect(dir).map_err(sqlite)?;
    if !there {
        // Means something only before there is a first page.
        connection
            .pragma_update(None, "page_size", page as i64)
            .map_err(sqlite)?;
        make(&mut connection).map_err(sqlite)?;
    }
    check(&connection)?;
    settle(&connection, durability).map_err(sqlite)?;
    if !there {
        dir.write_note()?;
    }
    Ok(connection)
}

/// Refuses a log that was damaged. One whose batches are not synced may have
/// holes after a loss of power, and is then cut at the first.
fn examine_log(dir: &StateDir, durability: Durability) -> Result<(), JournalError> {
    let path = dir.log();
    let what = match log::examine(&path).map_err(|error| state::unusable(&path, &error))? {
        Log::Whole => return Ok(()),
        Log::NoHead => format!("the head of {} does not check", path.display()),
        Log::Hole(frame) => format!(
            "frame {frame} of {} does not check, and later ones do",
            path.display()
        ),
    };
    if durability == Durability::Power {
        return Err(JournalError::Damaged {
            episode: None,
            seq: None,
            what,
        });
    }
    tracing::error!("{what}: the disk is damaged or power was lost, and the last records with it");
    Ok(())
}

/// A connection beside a host that may be running.
pub(super) fn for_visitor(dir: &StateDir) -> Result<Connection, JournalError> {
    if !dir.has_journal()? {
        return Err(JournalError::Io(format!(
            "there is no journal in {}",
            dir.path().display()
        )));
    }
    let sqlite = |error: rusqlite::Error| JournalError::from(failure(&error));
    let connection = connect(dir).map_err(sqlite)?;
    check(&connection)?;
    settle(&connection, Durability::Power).map_err(sqlite)?;
    Ok(connection)
}

/// A further connection that only reads.
pub(super) fn for_reading(dir: &StateDir) -> rusqlite::Result<Connection> {
    let connection = connect(dir)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(dir: &StateDir) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.journal(), flags)?;
    connection.busy_timeout(PATIENCE)?;
    // What it holds is not trusted further than it can be checked.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // After a failed sync nothing may be carried over.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Makes the tables, before the database has a log: they are then in the file
/// itself, and an empty file is known for damage. Repeated after an end in the
/// middle of it.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = super::immediate(connection)?;
    let made: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // Something else that lies here is refused by the check that follows.
    if made == 0 && tables == 0 {
        for statement in SCHEMA {
            transaction.execute_batch(statement)?;
        }
        index::first_census(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Refuses what is no journal, or one of another version.
fn check(connection: &Connection) -> Result<(), JournalError> {
    let number = |name: &str| -> Result<i32, StoreError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| failure(&error))
    };
    let refused = |what: &str| JournalError::Damaged {
        episode: None,
        seq: None,
        what: what.to_owned(),
    };
    if number("application_id")? != APPLICATION {
        return Err(refused("the database is no journal of orwd"));
    }
    let version = number("user_version")?;
    if version != VERSION {
        return Err(JournalError::Io(format!(
            "the journal is of version {version}, and this orwd reads version {VERSION}"
        )));
    }
    let schema = || -> rusqlite::Result<Vec<String>> {
        // Without those that SQLite makes by itself.
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        let lines = statement.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    let mut found = schema().map_err(|error| JournalError::from(failure(&error)))?;
    let mut expected = SCHEMA.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    if found == expected {
        Ok(())
    } else {
        Err(refused("its tables are not those of a journal"))
    }
}

fn settle(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let synchronous = match durability {
        Durability::Power => "full",
        // Checkpoints are synced still, so that the loss of power costs the
        // end of the journal and not the whole.
        Durability::Process | Durability::None => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}
