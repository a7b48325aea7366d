//! Searches the journal file of a server. The journal is binary, but request
//! inputs are stored in it unencoded.

use std::fs;
use std::path::Path;

/// Returns whether the journal contains this text.
pub fn journal_contains(state: impl AsRef<Path>, text: &str) -> bool {
    ["journal.db", "journal.db-wal"].iter().any(|file| {
        let bytes = fs::read(state.as_ref().join(file)).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}
