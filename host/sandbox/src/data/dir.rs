//! The data directory, which guests see at `/orwd_data`.
//!
//! It is opened once through cap-std when the environment is loaded, so that a
//! missing or unreadable directory is an error before anything is served, and
//! all sessions share one descriptor. Guests never write to it: their changes
//! stay in an overlay of the session, or are published at its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use orwd_model::DataDigest;
use orwd_overlay::LowerLayer;

use crate::data::digest::DataDigester;

/// A directory that existed and was readable when it was opened.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    lower: Arc<LowerLayer>,
    /// None if no digest is wanted.
    digester: Option<Arc<DataDigester>>,
}

/// The directory cannot be used as data.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {} cannot be used: {reason}", path.display())]
pub struct DataDirError {
    path: PathBuf,
    reason: std::io::Error,
}

impl DataDir {
    /// The path at which guests see it.
    pub const GUEST_PATH: &str = "/orwd_data";

    /// Opens a directory and lists it once, to verify that guests can.
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
            lower: Arc::new(LowerLayer::new(dir)),
            digester: None,
        })
    }

    /// Enables the digest of the data. Reads every file that is not in the
    /// digest cache below `cache`.
    pub fn with_digest(self, cache: &Path) -> Result<DataDir, DataDirError> {
        let fail = |reason| DataDirError {
            path: self.path.clone(),
            reason,
        };
        let dir = Dir::open_ambient_dir(&self.path, ambient_authority()).map_err(fail)?;
        let name = blake3::hash(self.path.as_os_str().as_encoded_bytes());
        let cache = cache.join("data").join(name.to_hex().as_str());
        let digester = DataDigester::open(dir, Some(cache)).map_err(fail)?;
        Ok(DataDir {
            digester: Some(Arc::new(digester)),
            ..self
        })
    }

    /// Returns the current digest of the data, or none if it is not enabled.
    /// Blocks on the disk.
    pub fn digest(&self) -> io::Result<Option<DataDigest>> {
        match &self.digester {
            Some(digester) => digester.digest().map(Some),
            None => Ok(None),
        }
    }

    /// Returns the digest if a recent scan is available, without blocking.
    pub fn recent_digest(&self) -> Option<DataDigest> {
        self.digester
            .as_ref()
            .and_then(|digester| digester.recent())
    }

    /// Marks the digest as outdated, because files were published.
    pub(crate) fn mark_stale(&self) {
        if let Some(digester) = &self.digester {
            digester.mark_stale();
        }
    }

    /// Returns the path on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the lower layer of all sessions' overlays.
    pub(crate) fn lower(&self) -> &Arc<LowerLayer> {
        &self.lower
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
