//! What one session's files use up, and how much that may be.
//!
//! Three counters: bytes (of content, charged as if dense, and of names), files
//! (of every kind, marks of removal included) and handles. A charge is made
//! before the thing that it is for, so that a refusal leaves nothing behind.

use super::{Errno, Fs};

/// How much the files of one session may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes of content and of names.
    pub bytes: u64,
    /// Files, directories, symbolic links and marks of removal.
    pub files: u64,
    /// Handles open at once.
    pub handles: u64,
}

/// The counters of one session.
#[derive(Debug)]
pub(super) struct Quota {
    allowed: Allowance,
    bytes: u64,
    files: u64,
    handles: u64,
    refused: Option<Refused>,
}

/// What a guest was refused. It learns no more than an error code, and many
/// give up there and then, which alone does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Bytes or files.
    Space,
    /// A handle.
    Handle,
}

impl Quota {
    pub(super) fn new(allowed: Allowance) -> Quota {
        Quota {
            allowed,
            bytes: 0,
            files: 0,
            handles: 0,
            refused: None,
        }
    }

    /// The last thing refused since this was asked before.
    pub(super) fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    /// Remembers that there is no space, and says so.
    pub(super) fn full(&mut self) -> Errno {
        self.refused = Some(Refused::Space);
        Errno::InsufficientSpace
    }

    /// Takes both or neither.
    pub(super) fn charge(&mut self, bytes: u64, files: u64) -> Fs<()> {
        let then_bytes = self.bytes.saturating_add(bytes);
        let then_files = self.files.saturating_add(files);
        // What is taken away may leave less than nothing allowed: only growth
        // is refused.
        if (bytes > 0 && then_bytes > self.allowed.bytes)
            || (files > 0 && then_files > self.allowed.files)
        {
            return Err(self.full());
        }
        self.bytes = then_bytes;
        self.files = then_files;
        Ok(())
    }

    pub(super) fn release(&mut self, bytes: u64, files: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.files = self.files.saturating_sub(files);
    }

    /// Bytes that can still be charged.
    pub(super) fn bytes_left(&self) -> u64 {
        self.allowed.bytes.saturating_sub(self.bytes)
    }

    /// WASI has no code for "too many open files"; this is the nearest.
    pub(super) fn open(&mut self) -> Fs<()> {
        if self.handles >= self.allowed.handles {
            self.refused = Some(Refused::Handle);
            return Err(Errno::Quota);
        }
        self.handles += 1;
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }

    /// Bytes and files charged, for tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn used(&self) -> (u64, u64) {
        (self.bytes, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_or_neither_and_exactly_to_the_limit() {
        let mut quota = Quota::new(Allowance {
            bytes: 10,
            files: 2,
            handles: 1,
        });
        assert_eq!(quota.charge(10, 1), Ok(()));
        assert_eq!(quota.charge(1, 1), Err(Errno::InsufficientSpace));
        assert_eq!(quota.charge(0, 1), Ok(()));
        assert_eq!(quota.charge(0, 1), Err(Errno::InsufficientSpace));
        assert_eq!(quota.used(), (10, 2));
        assert_eq!(quota.take_refused(), Some(Refused::Space));
        assert_eq!(quota.take_refused(), None);
        quota.release(4, 1);
        assert_eq!(quota.bytes_left(), 4);
        assert_eq!(quota.charge(u64::MAX, 0), Err(Errno::InsufficientSpace));
        assert_eq!(quota.open(), Ok(()));
        assert_eq!(quota.open(), Err(Errno::Quota));
        assert_eq!(quota.take_refused(), Some(Refused::Handle));
        quota.close();
        assert_eq!(quota.open(), Ok(()));
    }
}
