//! Measuring directories.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// What is in a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Bytes on disk.
    pub(crate) bytes: i64,
    /// When something in it changed last.
    pub(crate) changed: Option<SystemTime>,
}

/// Measures a file, or a directory with all that is in it. What is absent has no
/// bytes. Links are not followed. Blocks.
pub(crate) fn measure(path: &Path) -> io::Result<Measured> {
    let mut measured = Measured::default();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        // Other processes remove files meanwhile.
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let bytes = i64::try_from(metadata.blocks().saturating_mul(512)).unwrap_or(i64::MAX);
        measured.bytes = measured.bytes.saturating_add(bytes);
        measured.changed = measured.changed.max(metadata.modified().ok());
        if metadata.is_dir() {
            match fs::read_dir(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                entries => {
                    for entry in entries? {
                        open.push(entry?.path());
                    }
                }
            }
        }
    }
    Ok(measured)
}

/// Returns the names in a directory, none if it is absent.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes a file or a directory. It may be absent.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
