//! Folders of the cache that are complete or absent.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::PythonBuildError;

/// Makes a folder, unless it exists: it is completed under another name and then
/// renamed. If another process was faster, its folder stays.
pub(crate) fn complete(
    folder: &Path,
    make: impl FnOnce(&Path) -> Result<(), PythonBuildError>,
) -> Result<(), PythonBuildError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(PythonBuildError::file(parent))?;
    let draft = tempfile::Builder::new()
        .prefix(".draft-")
        .tempdir_in(parent)
        .map_err(PythonBuildError::file(parent))?;
    make(draft.path())?;
    let draft = draft.keep();
    match fs::rename(&draft, folder) {
        Ok(()) => Ok(()),
        Err(error) => {
            fs::remove_dir_all(&draft).ok();
            match folder.is_dir() && is_occupied(&error) {
                true => Ok(()),
                false => Err(PythonBuildError::file(folder)(error)),
            }
        }
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}
