//! The contents that environments cause to be kept.
//!
//! A content is charged from its upload until it is collected. It is collected
//! when no file, no generation of files and no waiting deployment has it.

use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::usage::{self, Kept};

/// Bytes by which a row is charged beside its content.
pub(super) const ROW: i64 = 512;

/// Rows that are read at once.
const BATCH: i64 = 1000;

/// A content that nothing of its environment needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnusedContent {
    /// The id of the environment.
    pub environment: String,
    /// The digest.
    pub digest: String,
}

/// True for rows of `c` that no file and no waiting deployment has.
const IS_UNUSED: &str = "NOT EXISTS (SELECT 1 FROM files f WHERE f.environment = c.environment \
     AND f.digest = c.digest) \
     AND NOT EXISTS (SELECT 1 FROM deployments d WHERE d.environment = c.environment \
     AND d.commit_sha = c.digest AND d.status IN ('queued', 'building', 'deploying'))";

/// Charges an environment for a content, unless it has it already.
pub fn add_content(
    transaction: &mut dyn Transaction,
    environment: &str,
    digest: &str,
    size: i64,
) -> Result<(), HubStoreError> {
    let added = transaction.execute(
        "INSERT INTO contents (environment, digest, size) VALUES (?1, ?2, ?3) \
         ON CONFLICT (environment, digest) DO NOTHING",
        params![environment, digest, size],
    )?;
    if added > 0 {
        usage::add(transaction, environment, Kept::Files, size + ROW)?;
    }
    Ok(())
}

/// Returns some of the contents that nothing of their environment needs, after
/// the last one of the batch before.
pub fn unused_contents(
    transaction: &mut dyn Transaction,
    after: Option<&UnusedContent>,
) -> Result<Vec<UnusedContent>, HubStoreError> {
    let sql = format!(
        "SELECT c.environment, c.digest FROM contents c WHERE (c.environment, c.digest) > (?1, ?2) \
         AND {IS_UNUSED} ORDER BY c.environment, c.digest LIMIT ?3"
    );
    let (environment, digest) = after.map_or(("", ""), |last| {
        (last.environment.as_str(), last.digest.as_str())
    });
    let rows = transaction.query(&sql, params![environment, digest, BATCH])?;
    rows.iter()
        .map(|row| {
            Ok(UnusedContent {
                environment: row.text(0)?,
                digest: row.text(1)?,
            })
        })
        .collect()
}

/// Frees an environment of a content, if it is still unused.
pub fn free_content(
    transaction: &mut dyn Transaction,
    content: &UnusedContent,
) -> Result<(), HubStoreError> {
    let sql = format!(
        "SELECT c.size FROM contents c WHERE c.environment = ?1 AND c.digest = ?2 AND {IS_UNUSED}"
    );
    let parameters = params![&content.environment, &content.digest];
    let Some(row) = transaction.first(&sql, parameters)? else {
        return Ok(());
    };
    transaction.execute(
        "DELETE FROM contents WHERE environment = ?1 AND digest = ?2",
        parameters,
    )?;
    let freed = -(row.integer(0)? + ROW);
    usage::add(transaction, &content.environment, Kept::Files, freed)
}

/// Returns whether any environment is charged for a content, or a deployment
/// waits for it.
pub fn is_kept(transaction: &mut dyn Transaction, digest: &str) -> Result<bool, HubStoreError> {
    let row = transaction.first(
        "SELECT 1 FROM contents WHERE digest = ?1 UNION ALL \
         SELECT 1 FROM deployments WHERE commit_sha = ?1 AND source LIKE 'upload:%' \
         AND status IN ('queued', 'building', 'deploying') LIMIT 1",
        params![digest],
    )?;
    Ok(row.is_some())
}
