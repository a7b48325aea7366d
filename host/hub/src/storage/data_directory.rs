//! The files of an environment at a generation, as a directory that sessions
//! see as `/orwd_data`.

use std::fs;
use std::path::Path;

use orwd_hub_store::files::FileRecord;

use super::blobs::Blobs;
use crate::layout::{Layout, create_private};

/// Creates the directory of a generation, if it is absent. Contents are shared
/// by hard links, so it costs no space for them. Blocks.
pub(crate) fn create(
    layout: &Layout,
    blobs: &Blobs,
    environment: &str,
    generation: i64,
    files: &[FileRecord],
) -> std::io::Result<()> {
    let directory = layout.data(environment, generation);
    if directory.exists() {
        return Ok(());
    }
    let partial = tempfile::TempDir::new_in(layout.temp())?;
    for file in files {
        let path = partial.path().join(&file.path);
        if let Some(parent) = path.parent() {
            create_private(parent)?;
        }
        link(&blobs.path(&file.digest), &path)?;
    }
    create_private(&layout.data_of(environment))?;
    match fs::rename(partial.path(), &directory) {
        // Another request was faster.
        Err(_) if directory.exists() => Ok(()),
        other => other,
    }
}

/// Links a content to a path. A file system limits the links of a file, so a
/// content that is in many places is copied.
fn link(content: &Path, path: &Path) -> std::io::Result<()> {
    match fs::hard_link(content, path) {
        Err(error) if error.kind() == std::io::ErrorKind::TooManyLinks => {
            fs::copy(content, path).map(drop)
        }
        other => other,
    }
}
