//! Checking out a commit.

use std::path::Path;

use super::command::run;
use super::repository::of;
use crate::layout::Layout;

/// Files of a version.
const MAX_FILES: usize = 20_000;

/// Bytes of the files of a version.
const MAX_BYTES: u64 = 2 << 30;

/// Writes the files of a commit into an empty directory. Symbolic links become
/// files, and nothing of the repository runs.
pub(crate) fn checkout(
    layout: &Layout,
    environment: &str,
    commit: &str,
    into: &Path,
    left: u64,
) -> Result<(), String> {
    if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{commit:?} is not a commit"));
    }
    let repository = layout.repository(environment);
    check_size(
        &run(of(layout, &repository).args(["ls-tree", "-r", "-l", "--full-tree", "-z", commit]))?,
        left,
    )?;
    let index = into.with_extension("index");
    let checked_out = (|| {
        run(of(layout, &repository)
            .env("GIT_INDEX_FILE", &index)
            .args(["read-tree", commit]))?;
        run(of(layout, &repository)
            .env("GIT_INDEX_FILE", &index)
            .arg("--work-tree")
            .arg(into)
            .args(["checkout-index", "--all", "--force", "--quiet"])
            .current_dir(into))
    })();
    // It may not have been created.
    let _ = std::fs::remove_file(&index);
    checked_out.map(drop)
}

/// Checks the listing of a commit, whose entries are
/// `MODE TYPE OBJECT SIZE\tPATH`.
fn check_size(listing: &str, left: u64) -> Result<(), String> {
    let (mut files, mut bytes) = (0_usize, 0_u64);
    for entry in listing.split('\0').filter(|entry| !entry.is_empty()) {
        let size = entry.split('\t').next().unwrap_or_default();
        let size = size.split_whitespace().last().unwrap_or_default();
        files += 1;
        // A submodule has no size.
        bytes = bytes.saturating_add(size.parse().unwrap_or(0));
    }
    if files > MAX_FILES || bytes > MAX_BYTES {
        return Err(format!(
            "the commit has {files} files with {bytes} bytes; at most {MAX_FILES} files and \
             {MAX_BYTES} bytes are allowed; large data belongs into the file store (`orwd upload`)"
        ));
    }
    if bytes > left {
        return Err(format!(
            "disk quota exceeded: the commit has {bytes} bytes, and the owner of the environment \
             may keep {left} more"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_bounded_in_files_and_bytes() {
        let entry = |size: &str| format!("100644 blob 0123 {size}\ta b.txt\0");
        assert!(check_size("", MAX_BYTES).is_ok());
        assert!(check_size(&entry("     12"), MAX_BYTES).is_ok());
        assert!(check_size("160000 commit 0123       -\tsub\0", MAX_BYTES).is_ok());
        assert!(check_size(&entry("2147483649"), MAX_BYTES).is_err());
        assert!(check_size(&entry("1").repeat(20_000), MAX_BYTES).is_ok());
        let error = check_size(&entry("1").repeat(20_001), MAX_BYTES).unwrap_err();
        let quota = check_size(&entry("12"), 11).unwrap_err();
        assert!(quota.contains("disk quota exceeded"), "{quota}");
        assert!(error.contains("20001 files with 20001 bytes"), "{error}");
    }
}
