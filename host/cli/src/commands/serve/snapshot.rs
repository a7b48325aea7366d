//! The sources that `orwd serve --watch` watches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most files that are watched.
const MAX_FILES: usize = 20_000;

/// Folders that hold no sources. Sessions depend on their data, which is no source.
const SKIPPED_FOLDERS: [&str; 4] = ["target", "data", "node_modules", "__pycache__"];

/// Sizes and times of the source files of some environments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Snapshot {
    /// Looks at files, and at all files below folders. Components in folders are
    /// included only if `components`, since a build writes them.
    pub(super) fn take(paths: &[PathBuf], components: bool) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut folders: Vec<PathBuf> = Vec::new();
        for path in paths {
            if path.is_dir() {
                folders.push(path.clone());
            } else {
                snapshot.add(path);
            }
        }
        while let Some(folder) = folders.pop() {
            let Ok(entries) = folder.read_dir() else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                // Editors write files that begin with a dot or end with a tilde.
                if name.starts_with('.') || name.ends_with('~') {
                    continue;
                }
                if kind.is_dir() {
                    if !SKIPPED_FOLDERS.contains(&&*name) {
                        folders.push(entry.path());
                    }
                } else if kind.is_file() && (components || !name.ends_with(".wasm")) {
                    snapshot.add(&entry.path());
                }
            }
        }
        snapshot
    }

    /// Returns a path that differs between two snapshots.
    pub(super) fn difference<'s>(&'s self, other: &'s Snapshot) -> Option<&'s Path> {
        let changed = |(path, stamp): &(&'s PathBuf, &(u64, Option<SystemTime>))| {
            other.0.get(*path) != Some(stamp)
        };
        let own = self.0.iter().find(changed).map(|(path, _)| path);
        let removed = || other.0.keys().find(|path| !self.0.contains_key(*path));
        own.or_else(removed).map(PathBuf::as_path)
    }

    /// Returns the number of files.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, path: &Path) {
        if self.0.len() < MAX_FILES
            && let Ok(found) = path.metadata()
        {
            self.0
                .insert(path.to_owned(), (found.len(), found.modified().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn changes_of_sources_are_seen_and_those_of_builds_are_not() {
        let dir = TempDir::new().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let take = |components| Snapshot::take(&[dir.path().to_owned()], components);
        write("src/lib.rs", "1");
        write("env.wasm", "1");
        let before = take(false);
        assert_eq!((before.len(), take(true).len()), (1, 2));
        write("target/x", "1");
        write("data/x", "1");
        write(".git/x", "1");
        write("src/.lib.rs.swp", "1");
        write("src/lib.rs~", "1");
        write("env.wasm", "22");
        assert_eq!(take(false).difference(&before), None);
        write("src/lib.rs", "22");
        let edited = take(false);
        assert!(edited.difference(&before).unwrap().ends_with("src/lib.rs"));
        write("src/new.rs", "1");
        let added = take(false);
        assert!(added.difference(&edited).unwrap().ends_with("src/new.rs"));
        fs::remove_file(dir.path().join("src/new.rs")).unwrap();
        assert!(
            take(false)
                .difference(&added)
                .unwrap()
                .ends_with("src/new.rs")
        );
    }
}
