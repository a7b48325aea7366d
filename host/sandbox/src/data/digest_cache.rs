//! The on-disk cache of the hashes of a data directory's files.
//!
//! A cache that is damaged, or of another version, is ignored, and everything
//! is read again. It saves time and is not a security boundary: only the user
//! whose keys also sign receipts can write here.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::known_files::{FileStamp, KnownFile, KnownFiles};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// One file in the cache.
#[derive(Serialize, Deserialize)]
struct CachedFile {
    path: String,
    size: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    hash: [u8; 32],
}

/// Returns the known files, or none if the cache cannot be relied on.
pub(crate) fn read(cache: &Path) -> Option<KnownFiles> {
    let bytes = fs::read(cache).ok()?;
    let (check, rest) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(rest) != *check {
        return None;
    }
    let (version, rest) = rest.split_first()?;
    if *version != VERSION {
        return None;
    }
    let lines: Vec<CachedFile> = ciborium::from_reader(rest).ok()?;
    let files = lines.into_iter().map(|line| {
        let stamp = FileStamp {
            size: line.size,
            inode: line.inode,
            modified: line.modified,
            changed: line.changed,
        };
        let hash = line.hash;
        (line.path, KnownFile { stamp, hash })
    });
    Some(files.collect())
}

/// Writes the cache, replacing the previous one.
pub(crate) fn write(cache: &Path, files: &KnownFiles) -> io::Result<()> {
    let lines: Vec<CachedFile> = files
        .iter()
        .map(|(path, KnownFile { stamp, hash })| CachedFile {
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
    let Some(folder) = cache.parent() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(blake3::hash(&bytes).as_bytes())?;
    draft.write_all(&bytes)?;
    draft.persist(cache).map_err(|error| error.error)?;
    Ok(())
}
