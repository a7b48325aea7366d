//! The data directory, which guests see at `/orwd_data`.
//!
//! Opened once through cap-std when the environment is loaded, so that a
//! missing or unreadable directory is an error before anything is served, and
//! so that all sessions share one descriptor. Guests never write to it; what
//! they write stays in a layer of their own, or is published afterwards.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::tree::Ground;

/// What becomes of what a guest writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: it is refused.
    ReadOnly,
    /// It is the session's alone and goes with it.
    #[default]
    Session,
    /// Some of it goes into the data directory when the session ends.
    Shared(Publish),
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The folders whose files are, relative to the data directory.
    pub folders: Vec<String>,
    /// What becomes of a file that is there already.
    pub existing: Existing,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the session's is dropped.
    #[default]
    Keep,
    /// The session's takes its place.
    Replace,
}

impl Mode {
    /// The mode in a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Mode::ReadOnly => "read-only",
            Mode::Session => "session",
            Mode::Shared(_) => "shared",
        }
    }
}

/// A directory that was there and readable when it was opened.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    ground: Ground,
}

/// Why a directory cannot be data.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {} cannot be used: {reason}", path.display())]
pub struct DataDirError {
    path: PathBuf,
    reason: std::io::Error,
}

impl DataDir {
    /// Where guests see it.
    pub const GUEST_PATH: &str = "/orwd_data";

    /// Opens a directory and lists it once, to be sure that guests can.
    pub fn open(path: &Path) -> Result<DataDir, DataDirError> {
        let fail = |reason| DataDirError {
            path: path.to_owned(),
            reason,
        };
        let path = path.canonicalize().map_err(fail)?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(fail)?;
        dir.entries()
            .and_then(|mut entries| entries.next().transpose())
            .map_err(fail)?;
        Ok(DataDir {
            path,
            ground: Ground::new(dir),
        })
    }

    /// Where the host has it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies below all sessions' layers.
    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_readable_directory_is_data() {
        let file = std::env::current_exe().unwrap();
        let folder = file.parent().unwrap();
        assert!(DataDir::open(folder).is_ok());
        for wrong in [file.as_path(), &folder.join("no-such-folder")] {
            let error = DataDir::open(wrong).unwrap_err();
            assert!(error.to_string().contains(&*wrong.to_string_lossy()));
        }
    }
}
