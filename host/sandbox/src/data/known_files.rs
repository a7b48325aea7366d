//! Files whose hash is known, and the attributes that show whether it still
//! holds.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Metadata, MetadataExt};

/// A file that changed less than this before it was read is read again.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The attributes that reveal a change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) size: u64,
    pub(crate) inode: u64,
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
    pub(crate) changed: (i64, i64),
}

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> FileStamp {
        FileStamp {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns whether a change after this time would show in the stamp.
    pub(crate) fn is_settled(&self, at: SystemTime) -> bool {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs().cast_signed());
        let last = self.modified.0.max(self.changed.0);
        last < now.saturating_sub(SETTLE_TIME.as_secs().cast_signed())
    }
}

/// A file with a known hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownFile {
    pub(crate) stamp: FileStamp,
    pub(crate) hash: [u8; 32],
}

/// Known files by their path in the directory.
pub(crate) type KnownFiles = HashMap<String, KnownFile>;
