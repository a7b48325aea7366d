//! An open file or directory.
//!
//! A handle keeps its node alive: a file that is removed while open can still
//! be read and written, and stays charged until its last handle is closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{ErrorCode, Result};
use crate::lower::LowerLayer;
use crate::upper::layer::UpperLayer;
use crate::upper::node::NodeId;
use crate::upper::ops::OpenOptions;

/// The upper layer of one session; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SharedLayer(Arc<Mutex<UpperLayer>>);

impl SharedLayer {
    pub(crate) fn new(layer: UpperLayer) -> SharedLayer {
        SharedLayer(Arc::new(Mutex::new(layer)))
    }

    /// Uncontended: a session is driven by one task. After a panic the state
    /// may be inconsistent, but it belongs to this session only.
    pub(crate) fn lock(&self) -> MutexGuard<'_, UpperLayer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access rights of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// An open file or directory.
#[derive(Debug)]
pub(crate) struct Handle {
    layer: SharedLayer,
    node: NodeId,
    rights: Rights,
}

impl Handle {
    /// Wraps a node that is already open.
    pub(crate) fn from_open_node(layer: SharedLayer, node: NodeId, rights: Rights) -> Handle {
        Handle {
            layer,
            node,
            rights,
        }
    }

    pub(crate) fn open_at(
        &self,
        path: &str,
        follow: bool,
        options: OpenOptions,
        read: bool,
    ) -> Result<Handle> {
        let node = self.layer().open_at(self.node, path, follow, options)?;
        let rights = Rights {
            read,
            write: options.write,
        };
        Ok(Handle::from_open_node(self.layer.clone(), node, rights))
    }

    pub(crate) fn layer(&self) -> MutexGuard<'_, UpperLayer> {
        self.layer.lock()
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn rights(&self) -> Rights {
        self.rights
    }

    /// Returns whether both handles belong to the same overlay.
    pub(crate) fn is_same_overlay(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.layer.0, &other.layer.0)
    }

    /// Reads up to a page; nothing at the end.
    pub(crate) fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        let mut layer = self.layer();
        layer.content(self.node)?;
        if !self.rights.read {
            return Err(ErrorCode::BadDescriptor);
        }
        layer.read(self.node, offset, count)
    }

    /// Waits until the data here is in the page cache. A blocking thread waits,
    /// so that no guest delays others.
    pub(crate) async fn prefetch(&self, offset: u64, count: usize) {
        let uncached_lower = match self.layer().content(self.node) {
            Ok((content, ..)) if self.rights.read => content.uncached_lower(offset, count),
            _ => None,
        };
        if let Some(file) = uncached_lower {
            // An error shows again in the actual read.
            let read = move || file.read_vec(offset, count).map(drop);
            let _ = tokio::task::spawn_blocking(read).await;
        }
    }

    /// Writes at an offset, or at the end.
    pub(crate) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<usize> {
        self.check_writable()?;
        self.layer().write(self.node, offset, bytes)
    }

    /// Checks that the file was opened for writing.
    pub(crate) fn check_writable(&self) -> Result<()> {
        let mut layer = self.layer();
        layer.content(self.node)?;
        if layer.read_only {
            return Err(ErrorCode::ReadOnly);
        }
        if self.rights.write {
            Ok(())
        } else {
            Err(ErrorCode::BadDescriptor)
        }
    }

    /// Returns the directory of the lower layer that this one shows, if any.
    pub(crate) fn lower_dir(&self) -> Result<Option<(Arc<LowerLayer>, Arc<str>)>> {
        let layer = self.layer();
        match &layer.directory(self.node)?.lower {
            Some(path) => Ok(Some((layer.lower()?.clone(), path.clone()))),
            None => Ok(None),
        }
    }

    /// Opens a second handle on this directory.
    pub(crate) fn reopen_dir(&self) -> Result<Handle> {
        let mut layer = self.layer();
        layer.directory(self.node)?;
        layer.open(self.node)?;
        drop(layer);
        Ok(Handle::from_open_node(
            self.layer.clone(),
            self.node,
            self.rights,
        ))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.layer.lock().close(self.node);
    }
}
