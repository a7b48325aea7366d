//! The log of changes: who changed what, for the members of its namespace.

use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::escape_like;
use crate::sql::params;

/// Who does what the platform does by itself.
pub const PLATFORM: &str = "platform";

/// Entries of a namespace that are kept.
const KEPT: i64 = 10_000;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: later changes have greater ones.
    pub number: i64,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
}

/// A page of changes.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only changes before the one with this number.
    pub before: Option<i64>,
    /// Only changes with this text, in any case, in who, what or to what.
    pub search: Option<String>,
    /// Changes at most.
    pub limit: i64,
}

/// Adds a change to the log of a namespace, and forgets the oldest one if there
/// are too many.
pub fn record(
    transaction: &mut dyn Transaction,
    owner: &str,
    actor: &str,
    action: &str,
    subject: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO audit (number, created_at, owner, actor, action, subject) VALUES \
         ((SELECT COALESCE(MAX(number), 0) + 1 FROM audit), ?1, ?2, ?3, ?4, ?5)",
        params![now(), owner, actor, action, subject],
    )?;
    transaction.execute(
        "DELETE FROM audit WHERE owner = ?1 AND number <= \
         (SELECT number FROM audit WHERE owner = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        params![owner, KEPT],
    )?;
    Ok(())
}

/// Returns the newest changes of these namespaces.
pub fn latest(
    transaction: &mut dyn Transaction,
    owners: &[String],
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, HubStoreError> {
    let pattern = query.search.as_ref();
    let pattern = pattern.map(|text| format!("%{}%", escape_like(&text.to_lowercase())));
    let mut found = Vec::new();
    for owner in owners {
        let rows = transaction.query(
            "SELECT number, created_at, actor, action, subject FROM audit WHERE owner = ?1 \
             AND number < ?3 AND (?4 IS NULL \
             OR LOWER(actor || ' ' || action || ' ' || subject) LIKE ?4 ESCAPE '\\') \
             ORDER BY number DESC LIMIT ?2",
            params![
                owner,
                query.limit,
                query.before.unwrap_or(i64::MAX),
                pattern.clone()
            ],
        )?;
        for row in rows {
            found.push(AuditEntry {
                number: row.integer(0)?,
                created_at: row.text(1)?,
                actor: row.text(2)?,
                action: row.text(3)?,
                subject: row.text(4)?,
            });
        }
    }
    found.sort_by_key(|entry| std::cmp::Reverse(entry.number));
    found.truncate(usize::try_from(query.limit).unwrap_or_default());
    Ok(found)
}
