//! The data directory, which guests see at `/orwd_data`.
//!
//! Opened once through cap-std when the environment is loaded, so that a
//! missing or unreadable directory is an error before anything is served, and
//! so that all sessions share one descriptor. Guests never write to it; what
//! they write stays in a layer of their own, or is published afterwards.

mod ledger;
mod notes;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use self::ledger::Ledger;
use orwd_model::DataDigest;
use orwd_overlay::Ground;

/// A directory that was there and readable when it was opened.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    ground: Ground,
    /// None where nobody wants to know what the data is.
    ledger: Option<Arc<Ledger>>,
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
            ledger: None,
        })
    }

    /// Has the digest of the data from now on. Reads every file that is not
    /// known from before, by the note that is kept in the cache directory.
    pub fn digested(self, cache: &Path) -> Result<DataDir, DataDirError> {
        let fail = |reason| DataDirError {
            path: self.path.clone(),
            reason,
        };
        let dir = Dir::open_ambient_dir(&self.path, ambient_authority()).map_err(fail)?;
        let name = blake3::hash(self.path.as_os_str().as_encoded_bytes());
        let note = cache.join("data").join(name.to_hex().as_str());
        let ledger = Ledger::open(dir, Some(note)).map_err(fail)?;
        Ok(DataDir {
            ledger: Some(Arc::new(ledger)),
            ..self
        })
    }

    /// The digest of the data as it is now; none if nobody wanted to know.
    /// Waits for the disk.
    pub fn digest(&self) -> io::Result<Option<DataDigest>> {
        match &self.ledger {
            Some(ledger) => ledger.digest().map(Some),
            None => Ok(None),
        }
    }

    /// The same, if that is known without a look; none also where nobody knows.
    pub fn recent_digest(&self) -> Option<DataDigest> {
        self.ledger.as_ref().and_then(|ledger| ledger.recent())
    }

    /// Something was published into it.
    pub(super) fn mark(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.mark();
        }
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
