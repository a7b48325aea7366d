//! Why a query fails.

/// Why the database refuses or cannot run a piece of work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubStoreError {
    /// A value of the caller is not valid.
    #[error("{0}")]
    Invalid(String),
    /// What the caller names does not exist, or the caller may not see it.
    #[error("{0}")]
    Missing(String),
    /// The caller sees it and may not change it.
    #[error("{0}")]
    Forbidden(String),
    /// The name is in use, or the state of the thing does not permit it.
    #[error("{0}")]
    Conflict(String),
    /// A value of the caller has more bytes than are kept.
    #[error("{0}")]
    TooLarge(String),
    /// The owner has reached the quota.
    #[error("{0}")]
    OverQuota(String),
    /// The query takes too long, or too many wait.
    #[error("{0}")]
    Busy(String),
    /// The database failed. The cause is for the log only.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for HubStoreError {
    fn from(error: rusqlite::Error) -> HubStoreError {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
            return HubStoreError::Busy(
                "the query took too long; ask for less, or try again later".to_owned(),
            );
        }
        HubStoreError::Failed(error.to_string())
    }
}
