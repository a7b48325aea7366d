//! Contents by digest, in the state directory. A content is stored once.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::receive::Received;
use crate::layout::{Layout, create_private};

/// The contents.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    root: PathBuf,
}

impl Blobs {
    pub(crate) fn new(layout: &Layout) -> Blobs {
        Blobs {
            root: layout.blobs(),
        }
    }

    /// Returns the file of a content.
    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        self.root.join(digest.get(..2).unwrap_or("00")).join(digest)
    }

    /// Keeps a content that was received. Blocks.
    pub(super) fn keep(&self, received: Received) -> io::Result<String> {
        let path = self.path(&received.digest);
        if let Some(parent) = path.parent() {
            create_private(parent)?;
        }
        // Sessions share the file, so nobody may write it.
        fs::set_permissions(received.file.path(), Permissions::from_mode(0o400))?;
        received.file.persist(path).map_err(|error| error.error)?;
        Ok(received.digest)
    }
}
