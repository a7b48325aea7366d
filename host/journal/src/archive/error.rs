//! Why a file cannot be read or imported.

use std::io;

use crate::error::JournalError;
use crate::record::EpisodeId;

/// A file cannot be read or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not an archive.
    #[error("this is not an exported episode")]
    NotAnArchive,
    /// Another version of orwd wrote it.
    #[error("the file is of version {found}, and this orwd reads versions up to {newest}")]
    Version {
        /// The version of the file.
        found: u8,
        /// The newest version that is read.
        newest: u8,
    },
    /// The frames are invalid.
    #[error("the file is damaged: {0}")]
    Layout(String),
    /// The records are invalid, or the journal refused them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The file is valid, and cannot be imported.
    #[error("{0}")]
    Refused(String),
    /// The journal has another episode with this id.
    #[error("episode {0} is in the journal already, and differs from the one in the file")]
    Differs(EpisodeId),
    /// A live session has its id, or one that this host ran.
    #[error(
        "a session {session:?} of the same owner is in the journal already; pass another owner \
         with --owner NAME"
    )]
    Exists {
        /// The session id.
        session: String,
    },
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reports an invalid file.
pub(super) fn layout(what: impl Into<String>) -> ArchiveError {
    ArchiveError::Layout(what.into())
}
