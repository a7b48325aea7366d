//! What a database offers.

use super::value::{SqlRow, SqlValue};
use crate::error::HubStoreError;

/// How much of a result is read into memory.
#[derive(Clone, Copy, Debug)]
pub struct RowBound {
    /// Bytes of the texts after which no further row is read.
    pub bytes: usize,
    /// Rows that are read whatever they hold.
    pub rows: usize,
}

impl RowBound {
    /// All rows.
    pub(crate) const NONE: RowBound = RowBound {
        bytes: usize::MAX,
        rows: 0,
    };

    /// A page of a listing: the rows that clients ask for at once, and more if
    /// they are small.
    pub(crate) const PAGE: RowBound = RowBound {
        bytes: 8 << 20,
        rows: 100,
    };

    /// Returns whether another row may follow.
    pub(crate) fn permits(self, rows: usize, bytes: usize) -> bool {
        rows < self.rows || bytes < self.bytes
    }
}

/// A transaction in progress. Parameters are written `?1`, `?2`, and so on.
pub trait Transaction {
    /// Runs a statement, and returns how many rows it changed.
    fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, HubStoreError>;

    /// Runs a query, and returns its first rows, as far as the bound permits.
    fn query_within(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
        bound: RowBound,
    ) -> Result<Vec<SqlRow>, HubStoreError>;

    /// Runs a query, and returns its rows.
    fn query(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<Vec<SqlRow>, HubStoreError> {
        self.query_within(sql, parameters, RowBound::NONE)
    }

    /// Returns the first row of a query.
    fn first(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> Result<Option<SqlRow>, HubStoreError> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }
}

/// The work of one transaction.
pub(crate) type Work<'w> = dyn FnMut(&mut dyn Transaction) -> Result<(), HubStoreError> + 'w;

/// A connection to a database.
pub trait Backend: Send {
    /// Runs the work in one transaction, which is committed if it succeeds.
    fn transaction(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), HubStoreError>,
    ) -> Result<(), HubStoreError>;
}
