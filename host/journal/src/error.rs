//! Why something could not be written down or read back.

use std::fmt;

use super::id::EpisodeId;
use super::store::StoreError;

/// What went wrong with the journal. Cheap to clone: everybody whose record
/// was in a batch learns of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// There is no space for the record. Nothing is lost: what was written
    /// stays, and records are taken again once there is space.
    #[error("there is no space left for the journal")]
    Full,
    /// The slot holds another record, so another owner writes this episode
    /// now; or the episode has ended. Whoever learns of it stops writing.
    #[error("record {seq} of episode {episode} is there already, written by another")]
    Fenced {
        /// The episode.
        episode: EpisodeId,
        /// The slot.
        seq: u64,
    },
    /// A record before this one did not get in, so this one cannot.
    #[error("record {seq} of episode {episode} follows one that was not written")]
    Gap {
        /// The episode.
        episode: EpisodeId,
        /// The slot.
        seq: u64,
    },
    /// A live episode of the same owner has this session id.
    #[error("the session of episode {episode} is there already")]
    Exists {
        /// The episode that was to begin.
        episode: EpisodeId,
    },
    /// What was read is not what was written.
    #[error("the journal is damaged: {place}: {what}", place = Place(episode, seq))]
    Damaged {
        /// The episode, where it is known.
        episode: Option<EpisodeId>,
        /// The record, where it is known.
        seq: Option<u64>,
        /// What does not hold.
        what: String,
    },
    /// There is no such episode.
    #[error("there is no episode {0} in the journal")]
    Unknown(EpisodeId),
    /// What was written may not have reached the disk, or the journal was
    /// closed. Nothing is written any more, and the host should end: only what
    /// the disk really holds counts, and only a new process learns that.
    #[error("the journal has stopped: {0}")]
    Stopped(String),
    /// There is no journal: the host runs without one.
    #[error("this host keeps no journal")]
    Off,
    /// Secrets cannot be sealed or unsealed.
    #[error("{0}")]
    Seal(String),
    /// The store cannot be opened, read or written.
    #[error("the journal cannot be used: {0}")]
    Io(String),
}

/// Names a record as closely as is known.
struct Place<'a>(&'a Option<EpisodeId>, &'a Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(episode), Some(seq)) => write!(f, "record {seq} of episode {episode}"),
            (Some(episode), None) => write!(f, "episode {episode}"),
            (None, _) => f.write_str("its index"),
        }
    }
}

impl JournalError {
    /// Whether the same may work another time.
    pub fn is_for_now(&self) -> bool {
        match self {
            JournalError::Full
            | JournalError::Fenced { .. }
            | JournalError::Gap { .. }
            | JournalError::Io(_) => true,
            JournalError::Exists { .. }
            | JournalError::Damaged { .. }
            | JournalError::Unknown(_)
            | JournalError::Seal(_)
            | JournalError::Stopped(_)
            | JournalError::Off => false,
        }
    }

    /// A record that is not what was written.
    pub(super) fn damaged(episode: EpisodeId, seq: u64, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            episode: Some(episode),
            seq: Some(seq),
            what: what.into(),
        }
    }
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> JournalError {
        match error {
            StoreError::Full => JournalError::Full,
            StoreError::Sync(what) => JournalError::Stopped(what),
            StoreError::Damaged { episode, seq, what } => {
                JournalError::Damaged { episode, seq, what }
            }
            StoreError::Io(what) => JournalError::Io(what),
        }
    }
}
