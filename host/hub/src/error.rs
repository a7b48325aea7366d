//! Why the platform does not run.

use thiserror::Error;

/// Why the platform cannot start or run.
#[derive(Debug, Error)]
pub enum HubError {
    /// The database cannot be used.
    #[error("{0}")]
    Store(#[from] orwd_hub_store::HubStoreError),
    /// A file or a socket cannot be used.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// Something else is wrong; the text says what to do.
    #[error("{0}")]
    Other(String),
}

impl HubError {
    /// Returns a function that adds what was done to an error.
    pub(crate) fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> HubError {
        let what = what.to_string();
        move |error| HubError::Io(what, error)
    }
}
