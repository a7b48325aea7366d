//! Folders that the user has created with `orwd new`, which may be built without
//! being asked.
//!
//! A folder is known by its path, its inode and the time of its creation. A
//! folder that a stranger's archive put in its place is another one.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::files::ComponentFile;

/// Bytes of the file of created folders.
const MAX_SIZE: u64 = 1 << 20;

/// Notes that the user has created a folder.
pub fn note_created(file: &Path, folder: &Path) -> io::Result<()> {
    let line = line(folder)?;
    if let Some(parent) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options
        .open(file)?
        .write_all(format!("{line}\n").as_bytes())
}

/// Returns whether the user has created this folder.
pub fn is_created(file: &Path, folder: &Path) -> bool {
    let (Ok(line), Ok(file)) = (line(folder), ComponentFile::open(file)) else {
        return false;
    };
    let noted = file.read(MAX_SIZE).unwrap_or_default();
    noted
        .split(|byte| *byte == b'\n')
        .any(|noted| noted == line.as_bytes())
}

/// Returns the line of a folder.
fn line(folder: &Path) -> io::Result<String> {
    let real = folder.canonicalize()?;
    let metadata = real.metadata()?;
    let path = real.to_str().filter(|path| !path.contains('\n'));
    let path = path.ok_or_else(|| io::Error::other("its path is not one line of UTF-8"))?;
    Ok(format!("{} {} {path}", metadata.ino(), created(&metadata)))
}

/// Returns the time of creation, or 0 where the file system does not keep it.
fn created(metadata: &Metadata) -> u128 {
    let created = metadata.created().ok();
    let since = created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn only_the_folder_itself_is_known() {
        let tree = Folder::with(&[("mine/x", ""), ("other/x", "")]);
        let at = |path: &str| tree.path().join(path);
        let file = at("config/orwd/created");
        assert!(!is_created(&file, &at("mine")));
        note_created(&file, &at("mine")).unwrap();
        assert!(is_created(&file, &at("mine")));
        assert!(is_created(&file, &at("other/../mine")));
        assert!(!is_created(&file, &at("other")));
        assert!(!is_created(&file, &at("gone")));
        // A folder in its place is another one.
        std::fs::rename(at("mine"), at("moved")).unwrap();
        std::fs::rename(at("other"), at("mine")).unwrap();
        assert!(!is_created(&file, &at("mine")));
        assert!(!is_created(&file, &at("moved")));
    }
}
