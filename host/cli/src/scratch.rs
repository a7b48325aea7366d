//! A directory of this process's own for what sessions write and what does not
//! fit into memory.
//!
//! The files in it have no names, so that it is always empty; it is there so
//! that the walls need not leave the whole temporary directory open, with
//! everybody's files in it.

use std::path::Path;

use tempfile::TempDir;

use super::Failure;

/// The directory; removed when this is dropped.
pub(super) struct Scratch(TempDir);

impl Scratch {
    /// Makes it below the system's temporary directory, and has all temporary
    /// files of this process made in it.
    pub(super) fn make() -> Result<Scratch, Failure> {
        let place = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("orwd-").tempdir_in(&place);
        let made = made.map_err(|error| {
            Failure::new(format!(
                "{} cannot be used for temporary files: {error}; say another with TMPDIR",
                place.display()
            ))
        })?;
        // It is set once, as this is called once.
        let _ = tempfile::env::override_temp_dir(made.path());
        Ok(Scratch(made))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
