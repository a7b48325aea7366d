//! Storing and deleting files.

use super::contents::{ROW, add_content};
use super::queries::{check_path, total_size};
use crate::clock::now;
use crate::environments::check_relative_path;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::usage::{self, Kept};

/// A file to store. Its content is stored already.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The path.
    pub path: String,
    /// The digest of the content.
    pub digest: String,
    /// Bytes of the content.
    pub size: i64,
}

/// Stores a file, in place of one with the same path. The files of an
/// environment have at most `quota` bytes.
pub fn put(
    transaction: &mut dyn Transaction,
    environment: &str,
    change: &FileChange,
    quota: i64,
) -> Result<(), HubStoreError> {
    check_path(&change.path)?;
    check_no_conflict(transaction, environment, &change.path)?;
    add_content(transaction, environment, &change.digest, change.size)?;
    let before = transaction.first(
        "SELECT 1 FROM files WHERE environment = ?1 AND path = ?2",
        params![environment, &change.path],
    )?;
    if before.is_none() {
        usage::add(transaction, environment, Kept::Files, ROW)?;
    }
    transaction.execute(
        "INSERT INTO files (environment, path, digest, size, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (environment, path) DO UPDATE SET \
         digest = excluded.digest, size = excluded.size, updated_at = excluded.updated_at",
        params![
            environment,
            &change.path,
            &change.digest,
            change.size,
            now()
        ],
    )?;
    let used = total_size(transaction, environment)?;
    if used > quota {
        return Err(HubStoreError::Conflict(format!(
            "file store is full: {used} of {quota} bytes"
        )));
    }
    changed(transaction, environment)
}

/// Checks that no file is in the place of a folder of the path, and no folder in
/// its own place.
fn check_no_conflict(
    transaction: &mut dyn Transaction,
    environment: &str,
    path: &str,
) -> Result<(), HubStoreError> {
    for (slash, _) in path.match_indices('/') {
        let folder = path.get(..slash).unwrap_or_default();
        let taken = transaction.first(
            "SELECT 1 FROM files WHERE environment = ?1 AND path = ?2",
            params![environment, folder],
        )?;
        if taken.is_some() {
            return Err(HubStoreError::Conflict(format!(
                "{folder:?} is a file, so there can be no file below it"
            )));
        }
    }
    let below = format!("{path}/");
    let taken = transaction.first(
        "SELECT 1 FROM files WHERE environment = ?1 AND SUBSTR(path, 1, LENGTH(?2)) = ?2 LIMIT 1",
        params![environment, below],
    )?;
    match taken {
        Some(_) => Err(HubStoreError::Conflict(format!("{path:?} is a folder"))),
        None => Ok(()),
    }
}

/// Deletes a file.
pub fn delete_file(
    transaction: &mut dyn Transaction,
    environment: &str,
    path: &str,
) -> Result<(), HubStoreError> {
    let deleted = transaction.execute(
        "DELETE FROM files WHERE environment = ?1 AND path = ?2",
        params![environment, path],
    )?;
    if deleted == 0 {
        return Err(HubStoreError::Missing(format!("there is no file {path:?}")));
    }
    usage::add(transaction, environment, Kept::Files, -ROW)?;
    changed(transaction, environment)
}

/// Deletes a folder, and returns how many files it had.
pub fn delete_folder(
    transaction: &mut dyn Transaction,
    environment: &str,
    path: &str,
) -> Result<u64, HubStoreError> {
    let below = format!("{}/", check_relative_path(path)?);
    let deleted = transaction.execute(
        "DELETE FROM files WHERE environment = ?1 AND SUBSTR(path, 1, LENGTH(?2)) = ?2",
        params![environment, below],
    )?;
    if deleted == 0 {
        return Err(HubStoreError::Missing(format!(
            "there is no folder {path:?}"
        )));
    }
    let freed = ROW.saturating_mul(i64::try_from(deleted).unwrap_or(i64::MAX));
    usage::add(transaction, environment, Kept::Files, -freed)?;
    changed(transaction, environment)?;
    Ok(deleted)
}

fn changed(transaction: &mut dyn Transaction, environment: &str) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE environments SET generation = generation + 1, updated_at = ?2 WHERE id = ?1",
        params![environment, now()],
    )?;
    Ok(())
}
