//! What data may be, and why a directory is refused as data.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orwd_model::{AdmissionLimits, ByteSize};

use super::private::PrivatePlaces;

/// Levels of directories. Guests cannot name deeper ones.
pub(crate) const MAX_DEPTH: usize = 64;

/// What data may be.
#[derive(Clone, Debug)]
pub struct DataRules {
    /// Places that are never data.
    pub private: PrivatePlaces,
    /// Bytes of all files.
    pub max_bytes: u64,
    /// Files, directories and links.
    pub max_entries: u64,
}

impl DataRules {
    /// Returns the rules of an operator.
    pub fn new(private: PrivatePlaces, limits: &AdmissionLimits) -> DataRules {
        DataRules {
            private,
            max_bytes: limits.data,
            max_entries: limits.data_entries,
        }
    }
}

/// Why a directory cannot be data.
#[derive(Debug, thiserror::Error)]
pub enum DataRefusal {
    /// It cannot be opened or listed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was a directory when its path was noted, and is reached by a link now.
    #[error("a link leads to it now: {}", .0.display())]
    Moved(PathBuf),
    /// Its path names another directory now.
    #[error("it was replaced while it was opened; try again")]
    Replaced,
    /// It is a private place of the host, or lies in one.
    #[error(
        "it is, or lies in, {}, where orwd keeps its own state, cache or keys; use another directory",
        .0.display()
    )]
    Private(Arc<Path>),
    /// It contains a private place of the host.
    #[error(
        "it contains {}, where orwd keeps its own state, cache or keys (at {at:?}); use a directory of its own",
        place.display()
    )]
    ContainsPrivate {
        /// The private place.
        place: Arc<Path>,
        /// Where it is in the data.
        at: PathBuf,
    },
    /// It is, or contains, a file system of the kernel.
    #[error("{0:?} is a file system of the kernel, such as /proc or /dev, and no data")]
    KernelFiles(PathBuf),
    /// It has too many entries.
    #[error(
        "it has more than {0} files and directories; remove some, pack them into fewer files, or raise --data-entries"
    )]
    TooManyEntries(u64),
    /// It is too deep.
    #[error("{0:?} is deeper than {MAX_DEPTH} levels, which no session can reach")]
    TooDeep(PathBuf),
    /// Its files are too large.
    #[error("its files have more than {}; the largest is {largest:?} with {}. Remove files or raise --data-limit", ByteSize::bytes(*limit), ByteSize::bytes(*size))]
    TooLarge {
        /// The limit.
        limit: u64,
        /// The largest file.
        largest: PathBuf,
        /// Its size.
        size: u64,
    },
    /// Its files are mostly holes.
    #[error(
        "{file:?} is sparse: it has {}, of which the disk holds {}. Write it without holes, or remove it",
        ByteSize::bytes(*size), ByteSize::bytes(*held)
    )]
    Sparse {
        /// The file with the largest hole.
        file: PathBuf,
        /// Its size.
        size: u64,
        /// What the disk holds of it.
        held: u64,
    },
}

impl DataRefusal {
    /// Returns the refusal of which this is the error.
    pub fn of(error: &io::Error) -> Option<&DataRefusal> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns what a client may know of data that has outgrown a limit while it is
    /// served: which limit, and who can do something. It names no file.
    pub fn for_clients(&self) -> Option<String> {
        match self {
            DataRefusal::TooManyEntries(limit) => Some(format!(
                "the data of the environment has more than {limit} files and directories \
                 (--data-entries); its operator must remove some or raise the limit"
            )),
            DataRefusal::TooLarge { limit, .. } => Some(format!(
                "the data of the environment has more than {} (--data-limit); its operator \
                 must remove files or raise the limit",
                ByteSize::bytes(*limit)
            )),
            DataRefusal::Sparse { .. } => Some(
                "a file in the data of the environment is mostly holes; its operator must \
                 write it without holes or remove it"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
