//! The file of a component, opened once.
//!
//! What is checked, compiled and stored is what was opened, although the path
//! may name another file by then.

use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::author_folder::{AuthorFolder, open_regular, read_whole};

/// An open file with a component.
#[derive(Clone, Debug)]
pub struct ComponentFile {
    path: PathBuf,
    file: Arc<File>,
}

impl ComponentFile {
    /// Opens a file of the host or of the operator.
    pub fn open(path: &Path) -> io::Result<ComponentFile> {
        Ok(ComponentFile {
            path: path.to_owned(),
            file: Arc::new(open_regular(path)?),
        })
    }

    /// Opens a file of an author.
    pub(crate) fn of_author(folder: &AuthorFolder, relative: &Path) -> io::Result<ComponentFile> {
        Ok(ComponentFile {
            path: folder.path().join(relative),
            file: Arc::new(folder.open_file(relative)?),
        })
    }

    /// Returns the path at which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Reads the file, up to a limit.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut file = self.file();
        file.rewind()?;
        read_whole(file, limit)
    }
}
