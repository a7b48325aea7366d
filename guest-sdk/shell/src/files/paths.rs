//! What a path of the evaluator names. Only the folder of the agent and the
//! temporary folder are real; nothing beside them can be seen.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{error, scripts};

/// Folders that are remembered as no links.
const MAX_KNOWN: usize = 10_000;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A real file or folder, which may not exist. No part of the path before
    /// the last is a link.
    Real(PathBuf),
    /// A folder above the real ones, with these entries.
    Above(Vec<String>),
    /// `/dev/null`.
    Null,
    /// `/dev/random` and `/dev/urandom`.
    Random,
    /// A file with a program that reads another one.
    Sourced(String),
}

/// The folders that the evaluator sees.
#[derive(Debug)]
pub(crate) struct Roots {
    roots: Vec<PathBuf>,
    /// Folders that are no links and below none. Looking at each part of a path for each
    /// operation would take the cube of the levels of a tree.
    known: Mutex<HashSet<PathBuf>>,
}

impl Roots {
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        Self {
            roots,
            known: Mutex::new(HashSet::new()),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets which folders are no links, after one was removed or replaced.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    /// Returns the real folder that holds a path.
    pub(crate) fn of(&self, path: &Path) -> Option<&Path> {
        let holding = self.roots.iter().filter(|root| path.starts_with(root));
        holding
            .max_by_key(|root| root.as_os_str().len())
            .map(PathBuf::as_path)
    }

    /// Whether a path is a real folder as a whole, which cannot be removed.
    pub(crate) fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root == path)
    }

    /// Returns what an absolute path names. A link before the last part is
    /// reported as missing: the evaluator then follows it, and asks again.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        if let Some(root) = self.of(path) {
            let mut known = self.known();
            let mut folders = Vec::new();
            for parent in path.ancestors().skip(1) {
                if parent == root || !parent.starts_with(root) || known.contains(parent) {
                    break;
                }
                let found = parent.symlink_metadata().map_err(error::named)?;
                if found.is_symlink() {
                    return Err(error::not_found());
                }
                folders.push(parent.to_owned());
            }
            if known.len() > MAX_KNOWN {
                known.clear();
            }
            known.extend(folders);
            return Ok(Place::Real(path.to_owned()));
        }
        match path.to_str() {
            Some("/dev/null") => return Ok(Place::Null),
            Some("/dev/random" | "/dev/urandom") => return Ok(Place::Random),
            Some("/dev") => {
                let devices = ["null", "random", "urandom"];
                return Ok(Place::Above(devices.map(str::to_owned).to_vec()));
            }
            _ => {}
        }
        if let Some(program) = path.to_str().and_then(scripts::sourced) {
            return Ok(Place::Sourced(program));
        }
        let mut entries: Vec<String> = self
            .roots
            .iter()
            .filter_map(|root| root.strip_prefix(path).ok())
            .filter_map(|below| below.components().next())
            .map(|entry| entry.as_os_str().to_string_lossy().into_owned())
            .collect();
        if path == Path::new("/") {
            entries.push("dev".to_owned());
        }
        entries.sort();
        entries.dedup();
        if entries.is_empty() {
            return Err(error::not_found());
        }
        Ok(Place::Above(entries))
    }
}

/// Returns the path from a folder to a target, both absolute and below `root`.
pub(crate) fn relative(root: &Path, folder: &Path, target: &Path) -> Option<PathBuf> {
    let folder = folder.strip_prefix(root).ok()?;
    let target = target.strip_prefix(root).ok()?;
    let common = folder
        .components()
        .zip(target.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder.components().skip(common).map(|_| "..");
    let down = target.components().skip(common);
    let mut path: PathBuf = up.collect();
    path.extend(down);
    if path.as_os_str().is_empty() {
        path.push(".");
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_the_agent_are_real() {
        let roots = Roots::new(vec!["/data/work".into(), "/tmp".into()]);
        let above = |names: &[&str]| Place::Above(names.iter().map(|n| (*n).to_owned()).collect());
        for (path, expected) in [
            ("/", Some(above(&["data", "dev", "tmp"]))),
            ("/data", Some(above(&["work"]))),
            ("/data/work", Some(Place::Real("/data/work".into()))),
            ("/data/work/x", Some(Place::Real("/data/work/x".into()))),
            ("/data/answers", None),
            ("/data/workshop", None),
            ("/home", None),
            ("/dev/null", Some(Place::Null)),
            ("/dev/urandom", Some(Place::Random)),
            ("/dev/sda", None),
        ] {
            assert_eq!(roots.place(Path::new(path)).ok(), expected, "{path}");
        }
    }

    #[test]
    fn an_absolute_target_becomes_relative() {
        for (folder, target, expected) in [
            ("/d/w", "/d/w/x", Some("x")),
            ("/d/w/a/b", "/d/w/a/x", Some("../x")),
            ("/d/w/a", "/d/w", Some("..")),
            ("/d/w", "/d/w", Some(".")),
            ("/d/w", "/etc/passwd", None),
        ] {
            let path = relative(Path::new("/d/w"), Path::new(folder), Path::new(target));
            assert_eq!(path, expected.map(PathBuf::from), "{folder} {target}");
        }
    }
}
