//! Listing files.

use crate::environments::check_relative_path;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;
use crate::sql::value::SqlRow;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// The path, without a slash at its beginning.
    pub path: String,
    /// The digest of the content.
    pub digest: String,
    /// Bytes of the content.
    pub size: i64,
    /// When it was stored.
    pub updated_at: String,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePage {
    /// The files below the prefix, sorted by the bytes of their paths.
    pub files: Vec<FileRecord>,
    /// The folders directly below the prefix, on the first page.
    pub folders: Vec<String>,
    /// The last path of the page, if another page follows.
    pub next: Option<String>,
}

const COLUMNS: &str = "path, digest, size, updated_at";

pub(super) fn record(row: &SqlRow) -> Result<FileRecord, HubStoreError> {
    Ok(FileRecord {
        path: row.text(0)?,
        digest: row.text(1)?,
        size: row.integer(2)?,
        updated_at: row.text(3)?,
    })
}

/// Returns a page of the files whose paths begin with a prefix, after a path.
pub fn page(
    transaction: &mut dyn Transaction,
    environment: &str,
    prefix: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<FilePage, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM files WHERE environment = ?1 AND SUBSTR(path, 1, LENGTH(?2)) = ?2 \
         AND path > ?3 ORDER BY path LIMIT ?4"
    );
    let start = after.unwrap_or("");
    let rows = transaction.query(&sql, params![environment, prefix, start, limit + 1])?;
    let mut files: Vec<FileRecord> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let has_more = files.len() as i64 > limit;
    if has_more {
        files.pop();
    }
    let next = files
        .last()
        .filter(|_| has_more)
        .map(|file| file.path.clone());
    let folders = match after {
        Some(_) => Vec::new(),
        None => folders(transaction, environment, prefix)?,
    };
    Ok(FilePage {
        files,
        folders,
        next,
    })
}

/// Returns the folders directly below a prefix.
fn folders(
    transaction: &mut dyn Transaction,
    environment: &str,
    prefix: &str,
) -> Result<Vec<String>, HubStoreError> {
    // The prefix up to its last slash is the folder that is listed.
    let parent = prefix
        .rfind('/')
        .and_then(|slash| prefix.get(..=slash))
        .unwrap_or("");
    let rows = transaction.query(
        "SELECT DISTINCT SUBSTR(path, 1, LENGTH(?3) + INSTR(SUBSTR(path, LENGTH(?3) + 1), '/') - 1) \
         FROM files WHERE environment = ?1 AND SUBSTR(path, 1, LENGTH(?2)) = ?2 \
         AND INSTR(SUBSTR(path, LENGTH(?3) + 1), '/') > 0 ORDER BY 1",
        params![environment, prefix, parent],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Returns all files of an environment.
pub fn all(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<Vec<FileRecord>, HubStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM files WHERE environment = ?1 ORDER BY path");
    let rows = transaction.query(&sql, params![environment])?;
    rows.iter().map(record).collect()
}

/// Returns the bytes of all files of an environment.
pub fn total_size(
    transaction: &mut dyn Transaction,
    environment: &str,
) -> Result<i64, HubStoreError> {
    let row = transaction.first(
        "SELECT COALESCE(SUM(size), 0) FROM files WHERE environment = ?1",
        params![environment],
    )?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Checks the path of a file.
pub(super) fn check_path(path: &str) -> Result<(), HubStoreError> {
    if path.ends_with('/') {
        return Err(HubStoreError::Invalid(format!(
            "{path:?} is the path of a folder; name the file"
        )));
    }
    check_relative_path(path).map(|_| ())
}
