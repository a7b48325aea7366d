//! What a database offers.

use super::value::{SqlRow, SqlValue};
use crate::error::HubStoreError;

/// A transaction in progress. Parameters are written `?1`, `?2`, and so on.
pub trait Transaction {
    /// Runs a statement, and returns how many rows it changed.
    fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, HubStoreError>;

    /// Runs a query, and returns its rows.
    fn query(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<Vec<SqlRow>, HubStoreError>;

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
