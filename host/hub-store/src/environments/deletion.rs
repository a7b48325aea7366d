//! Deleting environments, and restoring them.
//!
//! A deleted environment is hidden at once and keeps its name, so that it can be
//! restored. After a time, or when its owner says so, it is removed.

use std::time::Duration;

use super::queries::get;
use super::record::EnvironmentRecord;
use crate::accounts::Caller;
use crate::audit::{self, PLATFORM};
use crate::clock::{now, time_after};
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::sql::value::SqlRow;

/// A deleted environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedEnvironment {
    /// The id.
    pub id: String,
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: String,
    /// When it will be removed.
    pub remove_at: String,
}

const COLUMNS: &str = "id, owner, name, deleted_at, remove_at";

impl DeletedEnvironment {
    fn of(row: &SqlRow) -> Result<DeletedEnvironment, HubStoreError> {
        Ok(DeletedEnvironment {
            id: row.text(0)?,
            owner: row.text(1)?,
            name: row.text(2)?,
            deleted_at: row.text(3)?,
            remove_at: row.text(4)?,
        })
    }

    /// Returns the name with the owner.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// Deletes an environment, which can be restored within a time. Its deployments
/// that wait are cancelled.
pub fn delete(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    environment: &EnvironmentRecord,
    retention: Duration,
) -> Result<DeletedEnvironment, HubStoreError> {
    let deleted = DeletedEnvironment {
        id: environment.id.clone(),
        owner: environment.owner.clone(),
        name: environment.name.clone(),
        deleted_at: now(),
        remove_at: time_after(retention),
    };
    let at = &deleted.deleted_at;
    transaction.execute(
        "UPDATE environments SET deleted_at = ?2, remove_at = ?3, updated_at = ?2 WHERE id = ?1",
        params![&deleted.id, at, &deleted.remove_at],
    )?;
    transaction.execute(
        "UPDATE deployments SET status = 'cancelled', updated_at = ?2, \
         log = log || 'cancelled: the environment was deleted\n' \
         WHERE environment = ?1 AND status = 'queued'",
        params![&deleted.id, at],
    )?;
    let (owner, name) = (&deleted.owner, deleted.full_name());
    audit::record(transaction, owner, &caller.name, "deleted", &name)?;
    Ok(deleted)
}

/// Returns the deleted environments of the namespaces that the caller may change,
/// the newest first.
pub fn list_deleted(
    transaction: &mut dyn Transaction,
    caller: &Caller,
) -> Result<Vec<DeletedEnvironment>, HubStoreError> {
    let mut found = Vec::new();
    for owner in caller.changeable() {
        let sql = format!(
            "SELECT {COLUMNS} FROM environments WHERE owner = ?1 AND deleted_at IS NOT NULL \
             AND remove_at > ?2"
        );
        for row in transaction.query(&sql, params![owner, now()])? {
            found.push(DeletedEnvironment::of(&row)?);
        }
    }
    found.sort_by(|a, b| (&b.deleted_at, &b.id).cmp(&(&a.deleted_at, &a.id)));
    Ok(found)
}

fn deleted(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    id: &str,
) -> Result<DeletedEnvironment, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM environments WHERE id = ?1 AND deleted_at IS NOT NULL \
         AND remove_at > ?2"
    );
    let row = transaction.first(&sql, params![id, now()])?;
    let found = row.as_ref().map(DeletedEnvironment::of).transpose()?;
    // Only who may restore it knows of it.
    found
        .filter(|found| caller.may_change(&found.owner))
        .ok_or_else(|| {
            HubStoreError::Missing(format!(
                "there is no deleted environment {id} that you may restore"
            ))
        })
}

/// Restores a deleted environment with everything that it had.
pub fn restore(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    id: &str,
) -> Result<EnvironmentRecord, HubStoreError> {
    let found = deleted(transaction, caller, id)?;
    transaction.execute(
        "UPDATE environments SET deleted_at = NULL, remove_at = NULL, updated_at = ?2 WHERE id = ?1",
        params![id, now()],
    )?;
    let name = found.full_name();
    audit::record(transaction, &found.owner, &caller.name, "restored", &name)?;
    get(transaction, id)
}

/// Lets a deleted environment be removed at once.
pub fn give_up(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    id: &str,
) -> Result<DeletedEnvironment, HubStoreError> {
    let found = deleted(transaction, caller, id)?;
    transaction.execute(
        "UPDATE environments SET remove_at = ?2 WHERE id = ?1",
        params![id, now()],
    )?;
    let name = found.full_name();
    audit::record(transaction, &found.owner, &caller.name, "given up", &name)?;
    Ok(found)
}

/// Returns a deleted environment whose time is over, if there is one that nothing
/// is being built for.
pub fn next_to_remove(
    transaction: &mut dyn Transaction,
) -> Result<Option<DeletedEnvironment>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM environments e WHERE deleted_at IS NOT NULL AND remove_at <= ?1 \
         AND NOT EXISTS (SELECT 1 FROM deployments d WHERE d.environment = e.id \
         AND d.status IN ('building', 'deploying')) ORDER BY remove_at LIMIT 1"
    );
    let row = transaction.first(&sql, params![now()])?;
    row.as_ref().map(DeletedEnvironment::of).transpose()
}

/// Removes a deleted environment with everything that the database has of it.
/// Rollouts are of those who logged them, and stay.
pub fn remove(
    transaction: &mut dyn Transaction,
    environment: &DeletedEnvironment,
) -> Result<(), HubStoreError> {
    for sql in [
        "DELETE FROM runtime_log WHERE deployment IN \
         (SELECT id FROM deployments WHERE environment = ?1)",
        "DELETE FROM sessions WHERE deployment IN \
         (SELECT id FROM deployments WHERE environment = ?1)",
        "DELETE FROM deployments WHERE environment = ?1",
        "DELETE FROM files WHERE environment = ?1",
        "DELETE FROM contents WHERE environment = ?1",
        "DELETE FROM usage WHERE environment = ?1",
        "DELETE FROM former_names WHERE environment = ?1",
        "DELETE FROM remotes WHERE environment = ?1",
        "UPDATE environments SET repository = NULL, subdirectory = NULL, deployed_commit = NULL \
         WHERE repository = ?1",
        "DELETE FROM environments WHERE id = ?1",
    ] {
        transaction.execute(sql, params![&environment.id])?;
    }
    let name = environment.full_name();
    audit::record(transaction, &environment.owner, PLATFORM, "removed", &name)
}
