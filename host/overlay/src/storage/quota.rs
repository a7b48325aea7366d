//! The file quota of a session.
//!
//! Three counters: bytes (of content, charged as if dense, and of names), files
//! (of every kind, whiteouts included) and handles. A charge precedes what it
//! pays for, so that a refusal leaves nothing behind.

use crate::error::{ErrorCode, Result};

/// The limits on the files of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of content and of names.
    pub bytes: u64,
    /// Files, directories, symbolic links and whiteouts.
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
