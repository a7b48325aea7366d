//! The file quota of a session.
//!
//! Four counters: bytes (of content, charged as if dense, and of names and
//! paths), files (a name each, whiteouts included), handles, and the bytes of
//! what handles pin. A charge precedes what it pays for, so that a refusal
//! leaves nothing behind.
//!
//! Together they bound the host's memory: a file takes up to 2 KiB beside its
//! charged bytes, and a handle [`HANDLE_MEMORY`].

use crate::error::{ErrorCode, Result};

/// The most bytes of the host that one charged file takes beside the bytes
/// charged for it: its node, the entries of maps, two copies of its name.
#[cfg(test)]
pub(crate) const FILE_MEMORY: u64 = 2048;

/// The bytes that the unmodified nodes of all handles may take, for each handle
/// that is allowed. A handle far down the data pins each directory above it.
pub(crate) const HANDLE_MEMORY: u64 = 16 * 1024;

/// The bytes charged for an unmodified node, beside its path and its name.
pub(crate) const NODE_MEMORY: u64 = 1024;

/// The limits on the files of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of content and of names.
    pub bytes: u64,
    /// Names: files, directories, links of both kinds, whiteouts; and files
    /// that have lost their last name and are open.
    pub files: u64,
    /// Open handles.
    pub handles: u64,
}

/// The counters of one session.
#[derive(Debug)]
pub(crate) struct FileQuota {
    limits: FileLimits,
    bytes: u64,
    files: u64,
    handles: u64,
    /// Bytes of unmodified nodes.
    pinned: u64,
    refused: Option<QuotaRefusal>,
}

/// What the quota refused. The guest sees only an error code, and may abort in
/// a way that does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaRefusal {
    /// Bytes or files.
    Space,
    /// A handle.
    Handle,
}

impl FileQuota {
    pub(crate) fn new(limits: FileLimits) -> FileQuota {
        FileQuota {
            limits,
            bytes: 0,
            files: 0,
            handles: 0,
            pinned: 0,
            refused: None,
        }
    }

    /// Returns and clears the last refusal.
    pub(crate) fn take_refused(&mut self) -> Option<QuotaRefusal> {
        self.refused.take()
    }

    /// Records that there is no space, and returns the error.
    pub(crate) fn full(&mut self) -> ErrorCode {
        self.refused = Some(QuotaRefusal::Space);
        ErrorCode::InsufficientSpace
    }

    /// Charges both or neither.
    pub(crate) fn charge(&mut self, bytes: u64, files: u64) -> Result<()> {
        let then_bytes = self.bytes.saturating_add(bytes);
        let then_files = self.files.saturating_add(files);
        // Usage may be over the limit without growth: only growth is refused.
        if (bytes > 0 && then_bytes > self.limits.bytes)
            || (files > 0 && then_files > self.limits.files)
        {
            return Err(self.full());
        }
        self.bytes = then_bytes;
        self.files = then_files;
        Ok(())
    }

    pub(crate) fn release(&mut self, bytes: u64, files: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.files = self.files.saturating_sub(files);
    }

    /// Returns the bytes that can still be charged.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.bytes)
    }

    /// WASI has no code for "too many open files"; this is the nearest.
    pub(crate) fn open(&mut self) -> Result<()> {
        if self.handles >= self.limits.handles {
            self.refused = Some(QuotaRefusal::Handle);
            return Err(ErrorCode::Quota);
        }
        self.handles += 1;
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }

    /// Charges an unmodified node, which a handle or an operation pins.
    pub(crate) fn pin(&mut self, bytes: u64) -> Result<()> {
        let then = self.pinned.saturating_add(bytes);
        if then > self.limits.handles.saturating_mul(HANDLE_MEMORY) {
            self.refused = Some(QuotaRefusal::Handle);
            return Err(ErrorCode::Quota);
        }
        self.pinned = then;
        Ok(())
    }

    pub(crate) fn unpin(&mut self, bytes: u64) {
        self.pinned = self.pinned.saturating_sub(bytes);
    }

    /// Returns the limits.
    pub(crate) fn limits(&self) -> FileLimits {
        self.limits
    }

    /// Returns the bytes of unmodified nodes.
    #[cfg(test)]
    pub(crate) fn pinned(&self) -> u64 {
        self.pinned
    }

    /// Returns the bytes and files charged.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.bytes, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_or_neither_and_exactly_to_the_limit() {
        let mut quota = FileQuota::new(FileLimits {
            bytes: 10,
            files: 2,
            handles: 1,
        });
        assert_eq!(quota.charge(10, 1), Ok(()));
        assert_eq!(quota.charge(1, 1), Err(ErrorCode::InsufficientSpace));
        assert_eq!(quota.charge(0, 1), Ok(()));
        assert_eq!(quota.charge(0, 1), Err(ErrorCode::InsufficientSpace));
        assert_eq!(quota.used(), (10, 2));
        assert_eq!(quota.take_refused(), Some(QuotaRefusal::Space));
        assert_eq!(quota.take_refused(), None);
        quota.release(4, 1);
        assert_eq!(quota.bytes_left(), 4);
        assert_eq!(quota.charge(u64::MAX, 0), Err(ErrorCode::InsufficientSpace));
        assert_eq!(quota.open(), Ok(()));
        assert_eq!(quota.open(), Err(ErrorCode::Quota));
        assert_eq!(quota.take_refused(), Some(QuotaRefusal::Handle));
        quota.close();
        assert_eq!(quota.open(), Ok(()));
    }
}
