//! SQLite in the state directory.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, TransactionBehavior, params_from_iter};

use super::backend::{Backend, Transaction, Work};
use super::migrations;
use super::value::{SqlRow, SqlValue};
use crate::error::HubStoreError;

/// Prepared statements that are kept.
const STATEMENTS: usize = 128;

/// A SQLite database.
pub(crate) struct SqliteBackend(Connection);

struct SqliteTransaction<'c>(rusqlite::Transaction<'c>);

impl SqliteBackend {
    /// Opens the file, creates it if it is absent, and migrates its tables.
    pub(crate) fn open(file: &Path) -> Result<SqliteBackend, HubStoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        // Commits are on disk before they are acknowledged.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let mut backend = SqliteBackend(connection);
        backend.transaction(&mut migrations::apply)?;
        Ok(backend)
    }
}

impl Backend for SqliteBackend {
    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), HubStoreError> {
        // A transaction that begins by reading cannot be refused the lock later.
        let transaction = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut transaction = SqliteTransaction(transaction);
        // Dropping it without a commit rolls it back.
        work(&mut transaction)?;
        transaction.0.commit()?;
        Ok(())
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, HubStoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let changed = statement.execute(params_from_iter(parameters))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<Vec<SqlRow>, HubStoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(value(row.get_ref(column)?)?);
            }
            found.push(SqlRow(values));
        }
        Ok(found)
    }
}

fn value(value: ValueRef<'_>) -> Result<SqlValue, HubStoreError> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(text) => SqlValue::Text(
            std::str::from_utf8(text)
                .map_err(|error| HubStoreError::Failed(error.to_string()))?
                .to_owned(),
        ),
        ValueRef::Blob(_) => return Err(HubStoreError::Failed("a column is a blob".to_owned())),
    })
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            SqlValue::Null => ToSqlOutput::Owned(Value::Null),
            SqlValue::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            SqlValue::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            SqlValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
