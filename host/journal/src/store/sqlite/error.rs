//! Errors of SQLite as errors of the store.

use rusqlite::{ErrorCode, ffi};

use crate::store::api::StoreError;

/// Converts an error of SQLite.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let damaged = |what: String| StoreError::Damaged {
        episode: None,
        seq: None,
        what,
    };
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        // A value has another type than the one that was written.
        return damaged(error.to_string());
    };
    match (code.code, code.extended_code) {
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
            StoreError::Sync(format!("what was written could not be synced: {error}"))
        }
        // The index of the write-ahead log could not grow.
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => damaged(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}

/// The error of a transaction that mixes calls of SQLite and of the store.
pub(super) enum TransactionError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> TransactionError {
        TransactionError::Sqlite(error)
    }
}

impl From<StoreError> for TransactionError {
    fn from(error: StoreError) -> TransactionError {
        TransactionError::Store(error)
    }
}

impl From<TransactionError> for StoreError {
    fn from(error: TransactionError) -> StoreError {
        match error {
            TransactionError::Sqlite(error) => store_error(&error),
            TransactionError::Store(error) => error,
        }
    }
}
