//! The temporary directory of this process.
//!
//! It holds what sessions write and what does not fit into memory. Its files
//! have no names, so it always looks empty. Thanks to it, hardening can deny the
//! system's temporary directory with other users' files.

use std::path::Path;

use tempfile::TempDir;

use crate::console::CommandError;

/// Temporary directory; removed when dropped.
pub(crate) struct TempDirectory(TempDir);

impl TempDirectory {
    /// Creates it in the system's temporary directory, and makes it the default
    /// for all temporary files of this process.
    pub(crate) fn create() -> Result<TempDirectory, CommandError> {
        let parent = std::env::temp_dir();
        let created = tempfile::Builder::new().prefix("orwd-").tempdir_in(&parent);
        let created = created.map_err(|error| {
            CommandError::new(format!(
                "cannot create temporary files in {}: {error}; set TMPDIR to another directory",
                parent.display()
            ))
        })?;
        // Fails if it is set already; each command sets it once.
        let _ = tempfile::env::override_temp_dir(created.path());
        Ok(TempDirectory(created))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
