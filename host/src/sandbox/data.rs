//! The data directory, which guests see at `/orwd_data`.
//!
//! Opened once through cap-std when the environment is loaded, so that a
//! missing or unreadable directory is an error before anything is served.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// What a guest may do below its data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look and read.
    ReadOnly,
    /// Also write, rename and remove, on the host's own files.
    ReadWrite,
}

/// A directory that was there and readable when it was opened.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    access: Access,
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
    pub fn open(path: &Path, access: Access) -> Result<DataDir, DataDirError> {
        let fail = |reason| DataDirError {
            path: path.to_owned(),
            reason,
        };
        let path = path.canonicalize().map_err(fail)?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(fail)?;
        dir.entries()
            .and_then(|mut entries| entries.next().transpose())
            .map_err(fail)?;
        Ok(DataDir { path, access })
    }

    /// Where the host has it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What guests may do in it.
    pub fn access(&self) -> Access {
        self.access
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_readable_directory_is_data() {
        let file = std::env::current_exe().unwrap();
        let folder = file.parent().unwrap();
        assert!(DataDir::open(folder, Access::ReadOnly).is_ok());
        for wrong in [file.as_path(), &folder.join("no-such-folder")] {
            let error = DataDir::open(wrong, Access::ReadOnly).unwrap_err();
            assert!(error.to_string().contains(&*wrong.to_string_lossy()));
        }
    }
}
