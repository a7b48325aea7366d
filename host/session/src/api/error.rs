//! Why a request for a session, a task or an inspection fails.

use orwd_journal::{DiskRefusal, JournalError};
use orwd_model::Fault;

use crate::limits::history_reader::HistoriesBusy;

/// Why a task cannot be returned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The environment has no such split.
    #[error("Invalid split")]
    InvalidSplit,
    /// The split has no such task.
    #[error("Invalid index")]
    InvalidIndex,
    /// The environment cannot list its tasks.
    #[error(
        "list_tasks is not supported for this environment. Use the index-based API (num_tasks + get_task) instead."
    )]
    ListingUnsupported,
    /// The environment failed; its own message.
    #[error("{0}")]
    Failed(String),
    /// The environment reached a limit or trapped.
    #[error("{0}")]
    Faulted(Fault),
    /// The tasks exceed a limit of one response; which limit.
    #[error("{0}")]
    ListingLimit(String),
    /// The tasks were not collected in time; which limit.
    #[error("{0}")]
    ListingTooSlow(String),
    /// Others take the memory or the turns for lists at the moment; which.
    #[error("{0}")]
    Busy(String),
}

/// Why a session was not created. Its id is free again afterwards.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CreateError {
    /// The id is taken.
    #[error("Session already exists")]
    Exists,
    /// There is no environment of this name.
    #[error("unknown environment {0:?}")]
    UnknownEnvironment(String),
    /// The task cannot be returned.
    #[error(transparent)]
    Task(#[from] CatalogError),
    /// The task in the request exceeds the environment's JSON depth limit.
    #[error("{0}")]
    TooDeep(String),
    /// The task in the request does not fit the environment; its own message.
    #[error("{0}")]
    InvalidTask(String),
    /// The secrets cannot be read; the reason.
    #[error("{0}")]
    Secrets(String),
    /// The environment refused the task; its own message.
    #[error("{0}")]
    Refused(String),
    /// The guest reached a limit or trapped while it opened the episode.
    #[error("{0}")]
    Faulted(Fault),
    /// There is no toolset of this name.
    #[error("unknown toolset {0:?}")]
    UnknownToolset(String),
    /// The toolset needs a sandbox, which orwd does not have.
    #[error("toolset {0:?} needs a sandbox, and this server has none")]
    NoSandbox(String),
    /// The creation could not be journaled, so nothing was created.
    #[error("the journal cannot be written")]
    JournalUnavailable,
    /// The server has as many sessions, or instances, as it may.
    #[error("the server holds as many sessions as it may")]
    Full,
    /// The API key of the request has reached its session quota.
    #[error("this key holds as many sessions as it may")]
    TooManySessions,
    /// There is no disk space for it.
    #[error(transparent)]
    Disk(DiskRefusal),
    /// The data of the environment has outgrown a limit; what clients may know of it.
    #[error("{0}")]
    DataOutgrown(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// Others take the memory or the turns for this at the moment; which.
    #[error("{0}")]
    Busy(&'static str),
}

/// Why a session cannot respond.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// It was deleted while the request waited.
    #[error("Session deleted")]
    Deleted,
    /// It is not ready yet, and the request has waited as long as it may.
    #[error("Environment still starting.")]
    Starting,
    /// Its setup failed; the environment's own message.
    #[error("{0}")]
    SetupFailed(String),
    /// The environment failed to respond to this request; its own message. The
    /// session continues.
    #[error("{0}")]
    Failed(String),
    /// This request ended the session.
    #[error("{0}")]
    Faulted(Fault),
    /// An earlier request ended the session.
    #[error("{0}")]
    Gone(Fault),
    /// The API key of the request has reached its quota of calls in flight.
    #[error("this key has as many calls in flight as it may")]
    TooManyCalls,
    /// There is no disk space for the outcome, so the request was not begun.
    #[error(transparent)]
    Disk(DiskRefusal),
    /// What it has seen of its data is not as it was; the difference. It
    /// continues once its data is as it was.
    #[error("the session waits for its data: {0}")]
    DataDiffers(String),
    /// Others take the memory or the turns for this at the moment; which.
    #[error("{0}")]
    Busy(&'static str),
    /// It cannot be rebuilt from the journal; the reason.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The idempotency key belongs to a call with another body, or to one
    /// whose result is no longer available.
    #[error("the idempotency key was used for another request")]
    KeyReused,
}

/// Why an inspection or a fork fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// The principal has no such session.
    #[error("there is no such session")]
    NoSession,
    /// The server keeps no journal.
    #[error("the server keeps no journal")]
    NoJournal,
    /// The session has had fewer calls.
    #[error("there is no such step: the session has had {0} calls")]
    NoSuchStep(u64),
    /// The number of children is zero or exceeds the limit.
    #[error("between 1 and {0} can be made at once")]
    InvalidCount(u32),
    /// The list is to begin after no place of it.
    #[error("after: expected the \"next\" of the page before")]
    InvalidCursor,
    /// The session cannot be replayed.
    #[error("the session cannot be replayed")]
    NotReplayable,
    /// The session was imported, and this host ran nothing of it.
    #[error(
        "the session was imported and this host ran nothing of it, so it signs no receipt for it; \
         `orwd export` writes the receipts of the hosts that did"
    )]
    Imported,
    /// The API key of the request has reached its session quota.
    #[error("this key holds as many sessions as it may")]
    TooManySessions,
    /// There is no disk space for them.
    #[error(transparent)]
    Disk(DiskRefusal),
    /// The server has as many sessions as it may.
    #[error("the server holds as many sessions as it may")]
    Full,
    /// A replay gave a different result.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The journal of the session is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The journal cannot be read or written at the moment.
    #[error("the journal cannot be used")]
    JournalUnavailable,
    /// Too many histories are read at the moment.
    #[error("too many sessions are read from the journal; try again (--history-memory)")]
    Busy,
}

impl From<HistoriesBusy> for AdminError {
    fn from(_: HistoriesBusy) -> AdminError {
        AdminError::Busy
    }
}

impl From<JournalError> for AdminError {
    fn from(error: JournalError) -> AdminError {
        match error {
            JournalError::Disabled => AdminError::NoJournal,
            JournalError::Unknown(_) => AdminError::NoSession,
            JournalError::Seal(_) => AdminError::NotReplayable,
            JournalError::Imported(_) => AdminError::Imported,
            JournalError::Damaged { .. } => AdminError::Damaged(error.to_string()),
            _ => {
                tracing::error!("journal unavailable: {error}");
                AdminError::JournalUnavailable
            }
        }
    }
}
