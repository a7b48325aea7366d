//! Operations on the upper layer: open, create, remove, read and write.
//!
//! Every operation checks and charges before it changes anything, so that a
//! refused one changes nothing. Links and renames are in
//! [`names`](super::names).

use crate::error::{ErrorCode, Result};
use crate::lower::FileKind;
use crate::storage::content::FileContent;
use crate::upper::layer::UpperLayer;
use crate::upper::location::{Found, LastComponent, Location, MAX_PATH, ResolvedPath};
use crate::upper::node::{Body, Directory, Entry, Node, NodeId, ParentLink};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenOptions {
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) directory: bool,
    pub(crate) truncate: bool,
    pub(crate) write: bool,
}

impl UpperLayer {
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only {
            Err(ErrorCode::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Runs `work` on the parent directory of a path, pinned meanwhile.
    pub(crate) fn with_parent<T>(
        &mut self,
        resolved: &ResolvedPath,
        work: impl FnOnce(&mut UpperLayer, NodeId) -> Result<T>,
    ) -> Result<T> {
        let dir = self.pin(&resolved.dirs)?;
        let result = work(self, dir);
        self.release_node(dir);
        result
    }

    /// Runs `work` on the target of a path, pinned meanwhile.
    pub(crate) fn with_target<T>(
        &mut self,
        resolved: &ResolvedPath,
        work: impl FnOnce(&mut UpperLayer, NodeId) -> Result<T>,
    ) -> Result<T> {
        resolved.found()?;
        self.with_parent(resolved, |layer, dir| {
            let id = match &resolved.last {
                LastComponent::Dot => dir,
                LastComponent::Named(name, _) => layer.pin_child(dir, name)?,
            };
            let result = work(layer, id);
            layer.release_node(id);
            result
        })
    }

    /// Opens or creates a file, or opens a directory. The caller must close the
    /// node.
    pub(crate) fn open_at(
        &mut self,
        from: NodeId,
        path: &str,
        follow: bool,
        options: OpenOptions,
    ) -> Result<NodeId> {
        let resolved =
            self.resolve(from, path, follow && !(options.create && options.exclusive))?;
        if let LastComponent::Named(name, None) = &resolved.last {
            return self.open_new(&resolved, name, options);
        }
        if options.create && options.exclusive {
            return Err(ErrorCode::Exist);
        }
        match resolved.found()?.kind {
            FileKind::Link => return Err(ErrorCode::Loop),
            FileKind::Dir
                if options.write || options.truncate || (options.create && !options.directory) =>
            {
                return Err(ErrorCode::IsDirectory);
            }
            FileKind::File if options.directory => return Err(ErrorCode::NotDirectory),
            FileKind::File if options.write || options.truncate => self.check_writable()?,
            _ => {}
        }
        self.with_target(&resolved, |layer, id| {
            layer.open(id)?;
            if options.truncate {
                layer.set_size(id, 0).inspect_err(|_| layer.close(id))?;
            }
            Ok(id)
        })
    }

    fn open_new(
        &mut self,
        resolved: &ResolvedPath,
        name: &str,
        options: OpenOptions,
    ) -> Result<NodeId> {
        if !options.create {
            return Err(ErrorCode::NoEntry);
        }
        self.check_writable()?;
        if options.directory {
            return Err(ErrorCode::Invalid);
        }
        if resolved.is_dir {
            return Err(ErrorCode::IsDirectory);
        }
        self.with_parent(resolved, |layer, dir| {
            let id = layer.create(dir, name, Body::File(FileContent::default()))?;
            layer.open(id).map(|()| id).or_else(|error| {
                layer.remove(dir, name)?;
                Err(error)
            })
        })
    }

    /// Creates a node under a free name.
    fn create(&mut self, dir: NodeId, name: &str, body: Body) -> Result<NodeId> {
        if self.node(dir)?.links == 0 {
            return Err(ErrorCode::NoEntry);
        }
        let origin = self.new_origin();
        let mut node = Node::new(origin, false, None, body);
        if node.kind() == FileKind::Dir {
            node.home = Some(ParentLink {
                dir,
                name: name.to_owned(),
            });
        }
        // A whiteout has paid for the name already.
        let (bytes, files) = match self.entry(dir, name)? {
            Some(_) => (0, 0),
            None => (name.len() as u64, 1),
        };
        self.copy_up_with(dir, bytes + node.charge(), files)?;
        let id = self.insert(node);
        let entries = &mut self.directory_mut(dir)?.entries;
        entries.insert(name.to_owned(), Entry::Node(id));
        Ok(id)
    }

    pub(crate) fn create_dir(&mut self, from: NodeId, path: &str) -> Result<()> {
        self.create_at(from, path, true, Body::Dir(Directory::default()))
    }

    /// Creates a symbolic link, whose target must stay below the root.
    pub(crate) fn create_symlink(&mut self, from: NodeId, target: &str, path: &str) -> Result<()> {
        if target.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if target.len() > MAX_PATH {
            return Err(ErrorCode::NameTooLong);
        }
        if target.contains('\0') {
            return Err(ErrorCode::IllegalByteSequence);
        }
        let resolved = self.resolve(from, path, false)?;
        let mut depth = self.depth(from) + resolved.dirs.len() - 1;
        for component in target.split('/') {
            match component {
                "" | "." => {}
                ".." if depth == 0 => return Err(ErrorCode::NotPermitted),
                ".." => depth -= 1,
                _ => depth += 1,
            }
        }
        if target.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        self.create_at(from, path, false, Body::Link(target.to_owned()))
    }

    fn create_at(&mut self, from: NodeId, path: &str, is_dir: bool, body: Body) -> Result<()> {
        let resolved = self.resolve(from, path, false)?;
        let LastComponent::Named(name, None) = &resolved.last else {
            return Err(ErrorCode::Exist);
        };
        if resolved.is_dir && !is_dir {
            return Err(ErrorCode::NoEntry);
        }
        self.check_writable()?;
        self.with_parent(&resolved, |layer, dir| {
            layer.create(dir, name, body).map(drop)
        })
    }

    pub(crate) fn unlink(&mut self, from: NodeId, path: &str) -> Result<()> {
        let resolved = self.resolve(from, path, false)?;
        let child = resolved.found()?;
        self.check_writable()?;
        match (&resolved.last, child.kind) {
            (LastComponent::Dot, _) | (_, FileKind::Dir) => Err(ErrorCode::IsDirectory),
            (LastComponent::Named(name, _), _) => {
                self.with_parent(&resolved, |layer, dir| layer.remove(dir, name))
            }
        }
    }

    pub(crate) fn remove_dir(&mut self, from: NodeId, path: &str) -> Result<()> {
        let resolved = self.resolve(from, path, false)?;
        let child = resolved.found()?;
        self.check_writable()?;
        match (&resolved.last, child.kind) {
            (LastComponent::Dot, _) => Err(ErrorCode::Invalid),
            (_, FileKind::File | FileKind::Link) => Err(ErrorCode::NotDirectory),
            (LastComponent::Named(name, _), FileKind::Dir) => {
                self.with_parent(&resolved, |layer, dir| {
                    layer.check_empty(&child)?;
                    layer.remove(dir, name)
                })
            }
        }
    }

    /// Fails if a directory is not empty.
    pub(crate) fn check_empty(&self, dir: &Found) -> Result<()> {
        let (lower, entries) = match &dir.location {
            Location::Lower(path) => (Some(path.as_str()), None),
            Location::Upper(id) => {
                let folder = self.directory(*id)?;
                (folder.lower.as_deref(), Some(&folder.entries))
            }
        };
        let mut own = entries.iter().flat_map(|entries| entries.values());
        if own.any(|entry| matches!(entry, Entry::Node(_))) {
            return Err(ErrorCode::NotEmpty);
        }
        let Some(path) = lower else {
            return Ok(());
        };
        let is_gone = |name: &str| entries.is_some_and(|entries| entries.contains_key(name));
        if self.lower()?.is_covered(path, is_gone)? {
            Ok(())
        } else {
            Err(ErrorCode::NotEmpty)
        }
    }

    /// Removes a name, and its node if it has no other name.
    fn remove(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let covers_lower = self.lower_entry(dir, name)?.is_some();
        let length = name.len() as u64;
        let node = match self.entry(dir, name)? {
            Some(Entry::Whiteout) => return Err(ErrorCode::NoEntry),
            Some(Entry::Node(id)) => Some(id),
            None => None,
        };
        let own = match node {
            Some(id) => !self.node(id)?.clean,
            None => false,
        };
        match node {
            Some(id) if own => {
                let node = self.node(id)?;
                let is_last = node.links <= 1;
                // A name that is not the last pays for its whiteout, and so
                // does a node that goes with its name.
                let pays = !is_last || node.open == 0;
                if !covers_lower {
                    self.quota.release(length, u64::from(!is_last));
                } else if !pays {
                    self.quota.charge(0, 1)?;
                }
            }
            _ => self.copy_up_with(dir, length, 1)?,
        }
        let entries = &mut self.directory_mut(dir)?.entries;
        if covers_lower || !own {
            entries.insert(name.to_owned(), Entry::Whiteout);
        } else {
            entries.remove(name);
        }
        if let Some(id) = node {
            self.unlink_node(id)?;
            if own && covers_lower && self.node(id).is_err() {
                // What the node cost pays for its whiteout.
                self.quota.charge(0, 1)?;
            }
        }
        Ok(())
    }

    /// Removes one name of a node; with the last, a directory loses its
    /// entries.
    pub(crate) fn unlink_node(&mut self, id: NodeId) -> Result<()> {
        let node = self.node_mut(id)?;
        node.links = node.links.saturating_sub(1);
        node.home = None;
        let mut marks = (0, 0);
        if let Some(folder) = node.directory_mut() {
            for name in std::mem::take(&mut folder.entries).into_keys() {
                marks = (marks.0 + name.len() as u64, marks.1 + 1);
            }
            folder.lower = None;
        }
        self.quota.release(marks.0, marks.1);
        self.release_node(id);
        Ok(())
    }

    /// Sets a file's length.
    pub(crate) fn set_size(&mut self, id: NodeId, size: u64) -> Result<()> {
        self.content(id)?;
        self.check_writable()?;
        self.copy_up(id)?;
        let (content, store, quota) = self.content(id)?;
        content.set_size(store, quota, size)?;
        self.touch(id)
    }

    /// Writes to a file; returns how much the quota allowed.
    pub(crate) fn write(&mut self, id: NodeId, offset: Option<u64>, bytes: &[u8]) -> Result<usize> {
        self.content(id)?;
        self.check_writable()?;
        self.copy_up(id)?;
        let (content, store, quota) = self.content(id)?;
        let offset = offset.unwrap_or_else(|| content.size());
        let written = content.write(store, quota, offset, bytes)?;
        self.observed.size(written as u64);
        self.touch(id)?;
        Ok(written)
    }

    /// Reads up to a page from a file; nothing at its end.
    pub(crate) fn read(&mut self, id: NodeId, offset: u64, count: usize) -> Result<Vec<u8>> {
        let (content, store, _) = self.content(id)?;
        let bytes = content.read(store, offset, count)?;
        if content.may_show_lower() {
            self.observed.bytes(&bytes);
        }
        Ok(bytes)
    }

    pub(crate) fn copy_up_for_times(&mut self, id: NodeId) -> Result<()> {
        self.check_writable()?;
        self.copy_up(id)
    }
}
