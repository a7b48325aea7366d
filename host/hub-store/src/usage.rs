//! What is kept for an owner, and the quota on it.

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Charges an owner for rows of runs and rollouts. A negative number frees them.
pub(crate) fn charge_rollouts(
    transaction: &mut dyn Transaction,
    owner: &str,
    bytes: i64,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE namespaces SET rollout_bytes = rollout_bytes + ?2 WHERE name = ?1",
        params![owner, bytes],
    )?;
    Ok(())
}

/// Returns the bytes that are kept for an owner.
pub fn of_owner(transaction: &mut dyn Transaction, owner: &str) -> Result<i64, HubStoreError> {
    let row = transaction.first(
        "SELECT rollout_bytes FROM namespaces WHERE name = ?1",
        params![owner],
    )?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Refuses if more is kept for an owner than the quota.
pub fn check(
    transaction: &mut dyn Transaction,
    owner: &str,
    quota: i64,
) -> Result<(), HubStoreError> {
    let used = of_owner(transaction, owner)?;
    if used <= quota {
        return Ok(());
    }
    Err(HubStoreError::OverQuota(format!(
        "disk quota exceeded: {owner} would use {used} of {quota} bytes"
    )))
}
