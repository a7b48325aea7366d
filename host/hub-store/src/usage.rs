//! What is kept for an owner, and the quota on it.
//!
//! Counters are changed in the transaction of what they count. What only the file
//! system knows is measured by the platform and set.

use std::collections::HashMap;

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Bytes of an environment itself: its rows, and an empty repository.
const ENVIRONMENT: i64 = 64 << 10;

/// What is kept for an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Contents that were uploaded, until they are collected.
    Files,
    /// The repository.
    Repository,
    /// The sources of its versions, and their logs.
    Versions,
    /// The journals of its sessions.
    Sessions,
}

impl Kept {
    fn as_str(self) -> &'static str {
        match self {
            Kept::Files => "files",
            Kept::Repository => "repository",
            Kept::Versions => "versions",
            Kept::Sessions => "sessions",
        }
    }
}

/// Charges an environment for more bytes. A negative number frees them.
pub fn add(
    transaction: &mut dyn Transaction,
    environment: &str,
    kind: Kept,
    bytes: i64,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO usage (environment, kind, bytes) VALUES (?1, ?2, ?3) \
         ON CONFLICT (environment, kind) DO UPDATE SET bytes = usage.bytes + excluded.bytes",
        params![environment, kind.as_str(), bytes],
    )?;
    Ok(())
}

/// Sets the bytes of an environment to what was measured.
pub fn set(
    transaction: &mut dyn Transaction,
    environment: &str,
    kind: Kept,
    bytes: i64,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO usage (environment, kind, bytes) VALUES (?1, ?2, ?3) \
         ON CONFLICT (environment, kind) DO UPDATE SET bytes = excluded.bytes",
        params![environment, kind.as_str(), bytes],
    )?;
    Ok(())
}

/// Counts the deployments of an environment, or of all.
pub fn count_versions(
    transaction: &mut dyn Transaction,
    environment: Option<&str>,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO usage (environment, kind, bytes) \
         SELECT environment, ?2, SUM(bytes) FROM deployments \
         WHERE ?1 IS NULL OR environment = ?1 GROUP BY environment \
         ON CONFLICT (environment, kind) DO UPDATE SET bytes = excluded.bytes",
        params![environment, Kept::Versions.as_str()],
    )?;
    Ok(())
}

/// Sets what was measured of all environments; those that are not named have
/// nothing.
pub fn set_all(
    transaction: &mut dyn Transaction,
    kind: Kept,
    measured: &HashMap<String, i64>,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE usage SET bytes = 0 WHERE kind = ?1",
        params![kind.as_str()],
    )?;
    measured
        .iter()
        .try_for_each(|(environment, bytes)| set(transaction, environment, kind, *bytes))
}

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
        "SELECT COALESCE((SELECT rollout_bytes FROM namespaces WHERE name = ?1), 0) \
         + (SELECT COUNT(*) FROM environments WHERE owner = ?1) * ?2 \
         + COALESCE((SELECT SUM(u.bytes) FROM environments e JOIN usage u \
         ON u.environment = e.id WHERE e.owner = ?1), 0)",
        params![owner, ENVIRONMENT],
    )?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Returns the bytes that an owner may still keep, or refuses if there are none.
pub fn remaining(
    transaction: &mut dyn Transaction,
    owner: &str,
    quota: i64,
) -> Result<i64, HubStoreError> {
    let used = of_owner(transaction, owner)?;
    if used < quota {
        return Ok(quota - used);
    }
    Err(HubStoreError::OverQuota(format!(
        "disk quota exceeded: {owner} uses {used} of {quota} bytes; what is deleted or replaced is \
         freed within an hour"
    )))
}

/// Refuses if more is kept for an owner than the quota.
pub fn check(
    transaction: &mut dyn Transaction,
    owner: &str,
    quota: i64,
) -> Result<(), HubStoreError> {
    check_space(transaction, owner, quota, 0)
}

/// Refuses if more would be kept for an owner than the quota with these bytes.
pub fn check_space(
    transaction: &mut dyn Transaction,
    owner: &str,
    quota: i64,
    bytes: i64,
) -> Result<(), HubStoreError> {
    let used = of_owner(transaction, owner)?.saturating_add(bytes);
    if used <= quota {
        return Ok(());
    }
    Err(HubStoreError::OverQuota(format!(
        "disk quota exceeded: {owner} would use {used} of {quota} bytes; what is deleted or \
         replaced is freed within an hour"
    )))
}
