//! What the platform logs about the operation of a deployment.

use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Entries that are kept of each deployment.
const MAX_ENTRIES: i64 = 1000;

/// How severe an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Normal operation.
    Info,
    /// Something failed.
    Error,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "INFO",
            Severity::Error => "ERROR",
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuntimeEntry {
    /// When it was written.
    pub timestamp: String,
    /// How severe it is.
    pub severity: String,
    /// What happened.
    pub message: String,
}

/// Adds an entry, and removes the oldest above the limit.
pub fn add_entry(
    transaction: &mut dyn Transaction,
    deployment: &str,
    severity: Severity,
    message: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO runtime_log (deployment, number, created_at, severity, message) \
         VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM runtime_log WHERE deployment = ?1), \
         ?2, ?3, ?4)",
        params![deployment, now(), severity.as_str(), message],
    )?;
    transaction.execute(
        "DELETE FROM runtime_log WHERE deployment = ?1 AND number <= \
         (SELECT MAX(number) FROM runtime_log WHERE deployment = ?1) - ?2",
        params![deployment, MAX_ENTRIES],
    )?;
    Ok(())
}

/// Returns the newest entries of a deployment, oldest first.
pub fn latest_entries(
    transaction: &mut dyn Transaction,
    deployment: &str,
    limit: i64,
) -> Result<Vec<RuntimeEntry>, HubStoreError> {
    let mut rows = transaction.query(
        "SELECT created_at, severity, message FROM runtime_log WHERE deployment = ?1 \
         ORDER BY number DESC LIMIT ?2",
        params![deployment, limit],
    )?;
    rows.reverse();
    rows.iter()
        .map(|row| {
            Ok(RuntimeEntry {
                timestamp: row.text(0)?,
                severity: row.text(1)?,
                message: row.text(2)?,
            })
        })
        .collect()
}
