//! Finds the state directory of a server when no flag names it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use orwd_journal::StateDir;

use crate::console::CommandError;
use crate::console::time::age;

/// Returns the state directory that the flag names, or else the only one in the
/// user's state directory.
pub(crate) fn find(flag: Option<&Path>) -> Result<PathBuf, CommandError> {
    if let Some(flag) = flag {
        return Ok(flag.to_owned());
    }
    let root = user_root().ok_or_else(|| {
        CommandError::usage(
            "cannot find a state directory (XDG_STATE_HOME and HOME are unset); pass the server's \
             with --state DIR",
        )
    })?;
    choose(&root, candidates(&root))
}

/// Returns `orwd` in the user's state directory, below which servers have theirs
/// by default. The XDG base directory specification says to ignore a relative
/// path.
fn user_root() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .map(|state| state.join("orwd"))
}

fn choose(root: &Path, candidates: Vec<(PathBuf, SystemTime)>) -> Result<PathBuf, CommandError> {
    match candidates.as_slice() {
        [] => Err(CommandError::usage(format!(
            "no server has a state directory in {}; pass the server's with --state DIR",
            root.display()
        ))),
        [(only, _)] => Ok(only.clone()),
        several => {
            let mut message =
                "several servers have a state directory; pass one with --state DIR:".to_owned();
            for (path, used) in several {
                let age = used.elapsed().map(age).unwrap_or_default();
                write!(message, "\n  {}  (used {age} ago)", path.display()).ok();
            }
            Err(CommandError::usage(message))
        }
    }
}

/// Returns the directories with a journal: the root itself and those in it, the
/// last used first.
fn candidates(root: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(root).into_iter().flatten();
    let inner = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<(PathBuf, SystemTime)> = std::iter::once(root.to_owned())
        .chain(inner)
        .filter_map(|path| {
            let dir = StateDir::open_existing(&path).ok()?;
            dir.has_journal().ok()?.then_some(())?;
            let used = last_use(&path);
            Some((path, used))
        })
        .collect();
    found.sort_by(|(a, used_a), (b, used_b)| used_b.cmp(used_a).then_with(|| a.cmp(b)));
    found
}

/// Returns when a file of the journal was last written.
fn last_use(dir: &Path) -> SystemTime {
    ["journal.db", "journal.db-wal", "format"]
        .iter()
        .filter_map(|name| dir.join(name).metadata().ok()?.modified().ok())
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use orwd_journal::{Durability, SqliteStore};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_only_state_directory_is_found_and_several_are_listed() {
        let root = TempDir::new().unwrap();
        let root = root.path();
        let find = || choose(root, candidates(root)).map_err(|error| error.to_string());
        let none = find().unwrap_err();
        assert!(none.contains("no server has a state directory"), "{none}");
        std::fs::create_dir(root.join("no-journal")).unwrap();
        let one = root.join("127.0.0.1-8080");
        drop(SqliteStore::open(&one, Durability::Process).unwrap());
        assert_eq!(find(), Ok(one.clone()));
        let other = root.join("127.0.0.1-9000");
        drop(SqliteStore::open(&other, Durability::Process).unwrap());
        let several = find().unwrap_err();
        for part in [
            one.to_str().unwrap(),
            other.to_str().unwrap(),
            "--state DIR",
        ] {
            assert!(several.contains(part), "{several}");
        }
        assert_eq!(super::find(Some(Path::new("/x"))).unwrap(), Path::new("/x"));
    }
}
