//! The tables, and how an older database gets them.

use super::backend::Transaction;
use super::params;
use crate::error::HubStoreError;

/// The migrations in order. A released one never changes.
const MIGRATIONS: [&str; 7] = [
    include_str!("../../migrations/0001_tables.sql"),
    include_str!("../../migrations/0002_bounds.sql"),
    include_str!("../../migrations/0003_usage.sql"),
    include_str!("../../migrations/0004_checks.sql"),
    include_str!("../../migrations/0005_sign_in.sql"),
    include_str!("../../migrations/0006_environments.sql"),
    include_str!("../../migrations/0007_remotes.sql"),
];

/// Applies the migrations that the database lacks.
pub(super) fn apply(transaction: &mut dyn Transaction) -> Result<(), HubStoreError> {
    transaction.execute(
        "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)",
        &[],
    )?;
    let row = transaction.first("SELECT COALESCE(MAX(version), 0) FROM migrations", &[])?;
    let applied = row.map_or(Ok(0), |row| row.integer(0))?;
    let known = MIGRATIONS.len() as i64;
    if applied > known {
        return Err(HubStoreError::Failed(format!(
            "the database was written by a newer version of orwd: it has migration {applied}, and \
             this version knows {known}; install the newer version again"
        )));
    }
    for (version, text) in (1..).zip(MIGRATIONS) {
        if version <= applied {
            continue;
        }
        for statement in text.split(';').map(str::trim) {
            if !statement.is_empty() {
                transaction.execute(statement, &[])?;
            }
        }
        transaction.execute(
            "INSERT INTO migrations (version) VALUES (?1)",
            params![version],
        )?;
    }
    Ok(())
}
