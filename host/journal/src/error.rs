//! Errors of the journal.

use std::fmt;

use crate::record::EpisodeId;

/// The journal could not write or read. Cheap to clone: every writer whose
/// record was in a batch gets the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// There is no space for the record. Existing records are kept, and appends
    /// work again once there is space.
    #[error("there is no space left for the journal")]
    Full,
    /// The slot holds another record: another owner writes this episode now, or
    /// the episode has ended. The writer must stop.
    #[error("record {seq} of episode {episode} exists already, written by another owner")]
    Fenced {
        /// The episode.
        episode: EpisodeId,
        /// The slot.
        seq: u64,
    },
    /// An earlier record was not written, so this one cannot be.
    #[error("record {seq} of episode {episode} follows one that was not written")]
    Gap {
        /// The episode.
        episode: EpisodeId,
        /// The slot.
        seq: u64,
    },
    /// A live episode of the same owner has this session id.
    #[error("the session of episode {episode} exists already")]
    Exists {
        /// The new episode.
        episode: EpisodeId,
    },
    /// The bytes read are not those that were written.
    #[error("the journal is damaged: {place}: {what}", place = Place(episode, seq))]
    Damaged {
        /// The episode, if known.
        episode: Option<EpisodeId>,
        /// The record, if known.
        seq: Option<u64>,
        /// The failed check.
        what: String,
    },
    /// There is no such episode.
    #[error("there is no episode {0} in the journal")]
    Unknown(EpisodeId),
    /// Written records may not have reached the disk, or the journal was closed.
    /// Nothing is written any more, and the host must exit: only a new process
    /// can find out what the disk holds.
    #[error("the journal has stopped: {0}")]
    Stopped(String),
    /// The episode was imported, and this host ran nothing of it.
    #[error(
        "episode {0} was imported and this host ran nothing of it, so it signs no receipt for it"
    )]
    Imported(EpisodeId),
    /// The host runs without a journal.
    #[error("this host keeps no journal")]
    Disabled,
    /// Secrets cannot be sealed or unsealed.
    #[error("{0}")]
    Seal(String),
    /// The store cannot be opened, read or written.
    #[error("the journal cannot be used: {0}")]
    Io(String),
}

/// Formats the place of a damage as precisely as it is known.
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
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
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
            | JournalError::Imported(_)
            | JournalError::Disabled => false,
        }
    }

    /// Reports a damaged record.
    pub(crate) fn damaged(episode: EpisodeId, seq: u64, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            episode: Some(episode),
            seq: Some(seq),
            what: what.into(),
        }
    }

    /// Reports a damage of an episode outside of its records.
    pub(crate) fn damaged_episode(episode: EpisodeId, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            episode: Some(episode),
            seq: None,
            what: what.into(),
        }
    }

    /// Reports a damage that belongs to no known episode.
    pub(crate) fn damaged_index(what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            episode: None,
            seq: None,
            what: what.into(),
        }
    }
}
