//! What is known of the files of a data directory, kept from start to start.
//!
//! A note that is torn, or of another version, is as good as none: everything
//! is read again. It is a matter of speed and not of trust: whoever can write
//! here is the user whose keys sign receipts, too.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ledger::{Files, Known, Stamp};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// A file, as it is written down.
#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    size: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    hash: [u8; 32],
}

/// What a note says; none if it says nothing that can be relied on.
pub(super) fn read(note: &Path) -> Option<Files> {
    let bytes = fs::read(note).ok()?;
    let (check, rest) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(rest) != *check {
        return None;
    }
    let (version, rest) = rest.split_first()?;
    if *version != VERSION {
        return None;
    }
    let lines: Vec<Line> = ciborium::from_reader(rest).ok()?;
    let files = lines.into_iter().map(|line| {
        let stamp = Stamp {
            size: line.size,
            inode: line.inode,
            modified: line.modified,
            changed: line.changed,
        };
        let hash = line.hash;
        (line.path, Known { stamp, hash })
    });
    Some(files.collect())
}

/// Writes a note, in place of the one before it.
pub(super) fn write(note: &Path, files: &Files) -> io::Result<()> {
    let lines: Vec<Line> = files
        .iter()
        .map(|(path, Known { stamp, hash })| Line {
            path: path.clone(),
            size: stamp.size,
            inode: stamp.inode,
            modified: stamp.modified,
            changed: stamp.changed,
            hash: *hash,
        })
        .collect();
    let mut bytes = vec![VERSION];
    ciborium::into_writer(&lines, &mut bytes).map_err(io::Error::other)?;
    let Some(folder) = note.parent() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(blake3::hash(&bytes).as_bytes())?;
    draft.write_all(&bytes)?;
    draft.persist(note).map_err(|error| error.error)?;
    Ok(())
}
