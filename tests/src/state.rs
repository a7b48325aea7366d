//! What a server wrote into its directory of state. The journal is no text, but
//! what is asked stands in it as it came.

use std::fs;
use std::path::Path;

/// Whether this text has reached the journal.
pub fn journal_has(state: impl AsRef<Path>, text: &str) -> bool {
    ["journal.db", "journal.db-wal"].iter().any(|file| {
        let bytes = fs::read(state.as_ref().join(file)).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}
