//! What a guest has open.
//!
//! A handle keeps its node: what is removed while open can still be read and
//! written, and stays charged until the last handle on it goes.

use std::sync::MutexGuard;

use super::layer::Layer;
use super::listing::Entries;
use super::node::NodeId;
use super::ops::How;
use super::{Errno, Fs, Tree};

/// What may be done with an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// An open file or directory.
#[derive(Debug)]
pub(super) struct Handle {
    tree: Tree,
    node: NodeId,
    rights: Rights,
}

impl Handle {
    /// Takes over an open node.
    pub(super) fn adopt(tree: Tree, node: NodeId, rights: Rights) -> Handle {
        Handle { tree, node, rights }
    }

    pub(super) fn open_at(&self, path: &str, follow: bool, how: How, read: bool) -> Fs<Handle> {
        let node = self.layer().open_at(self.node, path, follow, how)?;
        let rights = Rights {
            read,
            write: how.write,
        };
        Ok(Handle::adopt(self.tree.clone(), node, rights))
    }

    pub(super) fn layer(&self) -> MutexGuard<'_, Layer> {
        self.tree.lock()
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn rights(&self) -> Rights {
        self.rights
    }

    /// Whether both are in the same tree.
    pub(super) fn is_beside(&self, other: &Handle) -> bool {
        std::sync::Arc::ptr_eq(&self.tree.layer, &other.tree.layer)
    }

    /// Reads up to a page; nothing at the end.
    pub(super) fn read(&self, offset: u64, count: usize) -> Fs<Vec<u8>> {
        let mut layer = self.layer();
        layer.content(self.node)?;
        if !self.rights.read {
            return Err(Errno::BadDescriptor);
        }
        layer.read(self.node, offset, count)
    }

    /// Waits until what lies here is in memory, if it is not. The waiting is
    /// another thread's, so that no guest holds up the others by it.
    pub(super) async fn fetch(&self, offset: u64, count: usize) {
        let distant = match self.layer().content(self.node) {
            Ok((content, ..)) if self.rights.read => content.distant(offset, count),
            _ => None,
        };
        if let Some(file) = distant {
            // Reading it again tells what went wrong.
            let read = move || file.read_new(offset, count).map(drop);
            let _ = tokio::task::spawn_blocking(read).await;
        }
    }

    /// Writes at a place, or else at the end.
    pub(super) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Fs<usize> {
        self.writable()?;
        self.layer().write(self.node, offset, bytes)
    }

    /// Passes a file that was opened for writing.
    pub(super) fn writable(&self) -> Fs<()> {
        let mut layer = self.layer();
        layer.content(self.node)?;
        if layer.read_only {
            return Err(Errno::ReadOnly);
        }
        if self.rights.write {
            Ok(())
        } else {
            Err(Errno::BadDescriptor)
        }
    }

    /// Begins to list a directory, by a handle of its own.
    pub(super) fn entries(&self) -> Fs<Entries> {
        let mut layer = self.layer();
        layer.folder(self.node)?;
        layer.open(self.node)?;
        drop(layer);
        let own = Handle::adopt(self.tree.clone(), self.node, self.rights);
        Entries::new(own)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tree.lock().close(self.node);
    }
}
