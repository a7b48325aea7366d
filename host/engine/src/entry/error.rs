//! Why an entry into a guest returned no value.

use orwd_model::{Fault, FaultCode};

use crate::convert::lift::InvalidOutput;

/// An entry into the guest returned no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EntryError {
    /// The guest returned an error, or a value that fails our checks. The
    /// instance stays usable.
    #[error("{0}")]
    Failed(String),
    /// The instance has ended.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// A task could not be looked up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TaskLookupError {
    /// The split does not exist.
    #[error("invalid split")]
    InvalidSplit,
    /// The split has no task with this index.
    #[error("invalid index")]
    InvalidIndex,
    /// The entry into the guest failed.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// A tool call returned no output.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The guest has no such tool.
    #[error("no such tool")]
    NotFound,
    /// The input does not fit the tool; the message is the guest's.
    #[error("{0}")]
    InvalidInput(String),
    /// Two tools share the name; the message is the guest's.
    #[error("{0}")]
    Collision(String),
    /// The entry into the guest failed.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl From<InvalidOutput> for EntryError {
    fn from(invalid: InvalidOutput) -> EntryError {
        EntryError::Failed(format!(
            "{}: {invalid}",
            FaultCode::EnvInvalidOutput.as_str()
        ))
    }
}

impl From<InvalidOutput> for TaskLookupError {
    fn from(invalid: InvalidOutput) -> TaskLookupError {
        TaskLookupError::Entry(invalid.into())
    }
}

impl From<InvalidOutput> for CallError {
    fn from(invalid: InvalidOutput) -> CallError {
        CallError::Entry(invalid.into())
    }
}
