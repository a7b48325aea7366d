//! Removing a tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes a folder with everything in it. It holds the list of what is left and no open
/// folder for each level, so that no depth of the tree is too much.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let mut left: Vec<(PathBuf, bool)> = vec![(path.to_owned(), false)];
    while let Some((folder, is_empty)) = left.pop() {
        if is_empty {
            fs::remove_dir(&folder)?;
            continue;
        }
        left.push((folder.clone(), true));
        for entry in fs::read_dir(&folder)? {
            let entry = entry?.path();
            if entry.symlink_metadata()?.is_dir() {
                left.push((entry, false));
            } else {
                fs::remove_file(&entry)?;
            }
        }
    }
    Ok(())
}
