//! SQLite in the state directory.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{
    Connection, InterruptHandle, OpenFlags, ToSql, TransactionBehavior, params_from_iter,
};

use super::backend::{Backend, RowBound, Transaction, Work};
use super::migrations;
use super::value::{SqlRow, SqlValue};
use crate::error::HubStoreError;

/// Prepared statements that are kept.
const STATEMENTS: usize = 128;

/// A SQLite database.
pub(crate) struct SqliteBackend {
    connection: Connection,
    behavior: TransactionBehavior,
}

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
        let mut backend = SqliteBackend {
            connection,
            // A transaction that begins by reading cannot be refused the lock later.
            behavior: TransactionBehavior::Immediate,
        };
        backend.transaction(&mut migrations::apply)?;
        Ok(backend)
    }

    /// Opens another connection to a file that [`SqliteBackend::open`] has
    /// opened. It sees what is committed, and changes nothing.
    pub(crate) fn open_reader(file: &Path) -> Result<SqliteBackend, HubStoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.pragma_update(None, "query_only", "ON")?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(SqliteBackend {
            connection,
            behavior: TransactionBehavior::Deferred,
        })
    }

    /// Returns what ends a query that runs.
    pub(crate) fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }
}

impl Backend for SqliteBackend {
    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), HubStoreError> {
        let transaction = self.connection.transaction_with_behavior(self.behavior)?;
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

    fn query_within(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
        bound: RowBound,
    ) -> Result<Vec<SqlRow>, HubStoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters))?;
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        while bound.permits(found.len(), bytes) {
            let Some(row) = rows.next()? else { break };
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(value(row.get_ref(column)?)?);
            }
            let row = SqlRow(values);
            bytes = bytes.saturating_add(row.text_bytes());
            found.push(row);
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
