//! The number of commits, in a file beside the journal.
//!
//! SQLite treats a truncated write-ahead log as a complete one, so the journal
//! alone cannot tell that its last commits are missing. The journal therefore
//! counts its commits, and after each commit the host writes the count into this
//! file. The file is not synced: it survives the end of the process, as the log
//! does. If it is ahead of the journal, commits that were acknowledged are gone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::error::JournalError;
use crate::state_dir::{self, StateDir};

/// The first bytes of the file.
const MAGIC: &[u8; 8] = b"orwdcnt1";

/// Bytes of the file: the magic, the count, and a hash of both.
const SIZE: usize = 32;

/// The file with the number of commits.
#[derive(Debug)]
pub(in crate::store::sqlite) struct CommitCount(File);

impl CommitCount {
    /// Opens the file. Creates it if missing.
    pub(in crate::store::sqlite) fn open(dir: &StateDir) -> Result<CommitCount, JournalError> {
        let path = dir.commits();
        state_dir::open_private(&path)
            .map(CommitCount)
            .map_err(|error| state_dir::io_error(&path, &error))
    }

    /// Reads the count. Returns `None` if the file holds none, as after an update
    /// from a version that wrote no such file.
    pub(in crate::store::sqlite) fn read(&self) -> io::Result<Option<u64>> {
        let mut bytes = [0; SIZE];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let (_, rest) = bytes.split_at(MAGIC.len());
        let count = rest.first_chunk().map(|count| u64::from_be_bytes(*count));
        Ok(count.filter(|count| encode(*count) == bytes))
    }

    /// Writes the count.
    pub(in crate::store::sqlite) fn write(&self, count: u64) -> io::Result<()> {
        self.0.write_all_at(&encode(count), 0)
    }
}

fn encode(count: u64) -> [u8; SIZE] {
    let stated = [*MAGIC, count.to_be_bytes()].concat();
    let hash = blake3::derive_key("orwd journal 2026 v1 number of commits", &stated);
    let mut bytes = [0; SIZE];
    let parts = stated.iter().chain(&hash);
    bytes
        .iter_mut()
        .zip(parts)
        .for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_back_and_a_damaged_one_is_none() {
        let dir = tempfile::TempDir::new().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let count = CommitCount::open(&state).unwrap();
        assert_eq!(count.read().unwrap(), None);
        for number in [0, 1, u64::MAX, 7] {
            count.write(number).unwrap();
            assert_eq!(count.read().unwrap(), Some(number));
        }
        let path = state.commits();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(CommitCount::open(&state).unwrap().read().unwrap(), None);
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert_eq!(CommitCount::open(&state).unwrap().read().unwrap(), None);
        }
    }
}
