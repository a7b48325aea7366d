//! Which deployments are kept.

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// The newest deployments of an environment that are kept. Older ones are kept
/// while the environment serves them or a session runs on them.
const KEPT: i64 = 100;

/// Deployments that are removed at once.
const BATCH: i64 = 200;

/// Removes old deployments, and returns how many.
pub fn remove_old(transaction: &mut dyn Transaction) -> Result<u64, HubStoreError> {
    let rows = transaction.query(
        "SELECT id FROM (SELECT d.id, d.status, ROW_NUMBER() OVER (PARTITION BY d.environment \
         ORDER BY d.number DESC) AS place FROM deployments d) o WHERE place > ?1 \
         AND status IN ('deployed', 'failed', 'cancelled') \
         AND NOT EXISTS (SELECT 1 FROM environments e WHERE e.served = o.id) \
         AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.deployment = o.id) LIMIT ?2",
        params![KEPT, BATCH],
    )?;
    for row in &rows {
        let id = row.text(0)?;
        transaction.execute(
            "DELETE FROM runtime_log WHERE deployment = ?1",
            params![&id],
        )?;
        transaction.execute("DELETE FROM deployments WHERE id = ?1", params![id])?;
    }
    Ok(rows.len() as u64)
}

/// Returns the ids of all deployments, each with that of its environment.
pub fn owners_of_versions(
    transaction: &mut dyn Transaction,
) -> Result<Vec<(String, String)>, HubStoreError> {
    let rows = transaction.query("SELECT id, environment FROM deployments", &[])?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.text(1)?)))
        .collect()
}
