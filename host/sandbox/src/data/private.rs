//! Places of the host that are never data: its state, its cache, its keys.
//!
//! A place is compared by device and inode, so that neither a link nor a bind
//! mount disguises it. Data is refused if it is a private place, lies in one or
//! contains one. A directory that will hold a place that does not exist yet
//! counts as containing it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Entries of private places that are compared one by one.
const MAX_ENTRIES: usize = 100_000;

/// Files that only the state directory of a server has together.
pub(crate) const STATE_FILES: [&str; 3] = ["lock", "format", "journal.db"];

/// Identifies a file of the host by device and inode.
pub(crate) type HostFileId = (u64, u64);

/// The private places of a host.
#[derive(Clone, Debug, Default)]
pub struct PrivatePlaces {
    /// Everything in them, with the place that it belongs to.
    known: HashMap<HostFileId, Arc<Path>>,
    /// The directories above them.
    above: HashMap<HostFileId, Arc<Path>>,
}

/// How a directory or a file relates to a private place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// It is the place, or lies in it.
    In(Arc<Path>),
    /// It contains the place, or will.
    Around(Arc<Path>),
}

impl PrivatePlaces {
    /// Collects places. They need not exist.
    pub fn new<P: AsRef<Path>>(places: impl IntoIterator<Item = P>) -> PrivatePlaces {
        let mut private = PrivatePlaces::default();
        for place in places {
            private.add(place.as_ref());
        }
        private
    }

    fn add(&mut self, place: &Path) {
        let Ok(place) = std::path::absolute(place) else {
            return;
        };
        let name: Arc<Path> = Arc::from(place.as_path());
        let Some((real, exists)) = nearest(&place) else {
            return;
        };
        for ancestor in real.ancestors().skip(usize::from(exists)) {
            if let Ok(metadata) = fs::metadata(ancestor) {
                self.above.insert(id(&metadata), Arc::clone(&name));
            }
        }
        if exists {
            self.add_tree(real, &name);
        }
    }

    /// Adds everything below a path. What cannot be read cannot be data either.
    fn add_tree(&mut self, root: PathBuf, name: &Arc<Path>) {
        let mut waiting = vec![root];
        while let Some(path) = waiting.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_symlink() || self.known.len() >= MAX_ENTRIES {
                continue;
            }
            self.known.insert(id(&metadata), Arc::clone(name));
            if metadata.is_dir()
                && let Ok(entries) = fs::read_dir(&path)
            {
                waiting.extend(entries.flatten().map(|entry| entry.path()));
            }
        }
    }

    /// Returns how a directory or a file of this identity relates to a private
    /// place.
    pub(crate) fn overlap(&self, id: HostFileId) -> Option<Overlap> {
        let inside = self.known.get(&id).cloned().map(Overlap::In);
        inside.or_else(|| self.above.get(&id).cloned().map(Overlap::Around))
    }

    /// Returns the private place that a directory at this path is, lies in or
    /// contains. The path has no links.
    pub(crate) fn overlap_of_path(&self, path: &Path, own: HostFileId) -> Option<Overlap> {
        if let Some(overlap) = self.overlap(own) {
            return Some(overlap);
        }
        path.ancestors().find_map(|ancestor| {
            let metadata = fs::metadata(ancestor).ok()?;
            if is_state_dir(|name| ancestor.join(name).exists()) {
                return Some(Overlap::In(Arc::from(ancestor)));
            }
            self.known.get(&id(&metadata)).cloned().map(Overlap::In)
        })
    }
}

/// Returns whether a directory with these names is the state directory of a
/// server, perhaps of another one.
pub(crate) fn is_state_dir(has: impl Fn(&OsStr) -> bool) -> bool {
    STATE_FILES.iter().all(|name| has(OsStr::new(name)))
}

/// Returns the nearest existing path without links, and whether it is the path
/// itself.
fn nearest(path: &Path) -> Option<(PathBuf, bool)> {
    let mut ancestors = path.ancestors();
    if let Ok(real) = ancestors.next()?.canonicalize() {
        return Some((real, true));
    }
    let real = ancestors.find_map(|ancestor| ancestor.canonicalize().ok())?;
    Some((real, false))
}

fn id(metadata: &Metadata) -> HostFileId {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_place_is_found_in_itself_around_it_and_below_it() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("home/state/components")).unwrap();
        fs::create_dir_all(root.join("home/other")).unwrap();
        fs::write(root.join("home/keys.toml"), "k").unwrap();
        symlink(root.join("home/state"), root.join("link")).unwrap();
        let places = PrivatePlaces::new([
            root.join("link"),
            root.join("home/keys.toml"),
            root.join("home/other/not/yet"),
        ]);
        let check = |path: &str, expected: &str| {
            let path = root.join(path);
            let own = id(&fs::metadata(&path).unwrap());
            let found = match places.overlap_of_path(&path, own) {
                None => "-".to_owned(),
                Some(Overlap::In(place)) => format!("in {}", place.display()),
                Some(Overlap::Around(place)) => format!("around {}", place.display()),
            };
            assert_eq!(found.replace(&*root.to_string_lossy(), "R"), expected);
        };
        check("home/state", "in R/link");
        check("home/state/components", "in R/link");
        check("home/other", "around R/home/other/not/yet");
        let home = root.join("home");
        let own = id(&fs::metadata(&home).unwrap());
        assert!(matches!(
            places.overlap_of_path(&home, own),
            Some(Overlap::Around(_))
        ));
        fs::create_dir(root.join("free")).unwrap();
        check("free", "-");
    }

    #[test]
    fn the_state_directory_of_another_server_is_recognised() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("s/components")).unwrap();
        let own = |path: &Path| id(&fs::metadata(path).unwrap());
        let inside = root.join("s/components");
        let none = PrivatePlaces::default();
        assert_eq!(none.overlap_of_path(&inside, own(&inside)), None);
        for name in STATE_FILES {
            fs::write(root.join("s").join(name), "").unwrap();
        }
        let found = none.overlap_of_path(&inside, own(&inside));
        assert_eq!(found, Some(Overlap::In(Arc::from(root.join("s")))));
    }
}
