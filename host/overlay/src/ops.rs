//! What can be done to the tree: open, make, remove, read and write.
//!
//! Every operation looks first and changes after, and charges before it
//! changes, so that one that is refused leaves the tree as it was. Other names
//! for what is there are the affair of [`names`](super::names).

use super::base::Kind;
use super::content::Content;
use super::layer::Layer;
use super::node::{Body, Entry, Folder, Home, Node, NodeId};
use super::walk::{At, Child, Last, PATH, Walk};
use super::{Errno, Fs};

/// How something is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) directory: bool,
    pub(super) truncate: bool,
    pub(super) write: bool,
}

impl Layer {
    pub(super) fn writable(&self) -> Fs<()> {
        if self.read_only {
            Err(Errno::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Works on a directory that is pinned meanwhile.
    pub(super) fn within<T>(
        &mut self,
        walk: &Walk,
        work: impl FnOnce(&mut Layer, NodeId) -> Fs<T>,
    ) -> Fs<T> {
        let dir = self.pin(&walk.dirs)?;
        let result = work(self, dir);
        self.settle(dir);
        result
    }

    /// Works on what a path leads to, which is pinned meanwhile.
    pub(super) fn on<T>(
        &mut self,
        walk: &Walk,
        work: impl FnOnce(&mut Layer, NodeId) -> Fs<T>,
    ) -> Fs<T> {
        walk.found()?;
        self.within(walk, |layer, dir| {
            let id = match &walk.last {
                Last::Here => dir,
                Last::Name(name, _) => layer.pin_child(dir, name)?,
            };
            let result = work(layer, id);
            layer.settle(id);
            result
        })
    }

    /// Opens or makes a file, or opens a directory. The node is open
    /// afterwards: close it.
    pub(super) fn open_at(
        &mut self,
        from: NodeId,
        path: &str,
        follow: bool,
        how: How,
    ) -> Fs<NodeId> {
        let walk = self.walk(from, path, follow && !(how.create && how.exclusive))?;
        if let Last::Name(name, None) = &walk.last {
            return self.open_new(&walk, name, how);
        }
        if how.create && how.exclusive {
            return Err(Errno::Exist);
        }
        match walk.found()?.kind {
            Kind::Link => return Err(Errno::Loop),
            Kind::Dir if how.write || how.truncate || (how.create && !how.directory) => {
                return Err(Errno::IsDirectory);
            }
            Kind::File if how.directory => return Err(Errno::NotDirectory),
            Kind::File if how.write || how.truncate => self.writable()?,
            _ => {}
        }
        self.on(&walk, |layer, id| {
            layer.open(id)?;
            if how.truncate {
                layer.set_size(id, 0).inspect_err(|_| layer.close(id))?;
            }
            Ok(id)
        })
    }

    fn open_new(&mut self, walk: &Walk, name: &str, how: How) -> Fs<NodeId> {
        if !how.create {
            return Err(Errno::NoEntry);
        }
        self.writable()?;
        if how.directory {
            return Err(Errno::Invalid);
        }
        if walk.is_dir {
            return Err(Errno::IsDirectory);
        }
        self.within(walk, |layer, dir| {
            let id = layer.make(dir, name, Body::File(Content::default()))?;
            layer.open(id).map(|()| id).or_else(|error| {
                layer.remove(dir, name)?;
                Err(error)
            })
        })
    }

    /// Puts something new under a name that is free.
    fn make(&mut self, dir: NodeId, name: &str, body: Body) -> Fs<NodeId> {
        if self.node(dir)?.links == 0 {
            return Err(Errno::NoEntry);
        }
        let origin = self.new_origin();
        let mut node = Node::new(origin, false, None, body);
        if node.kind() == Kind::Dir {
            node.home = Some(Home {
                dir,
                name: name.to_owned(),
            });
        }
        // A mark of removal makes room for it, name and all.
        let (bytes, files) = match self.entry(dir, name)? {
            Some(_) => (0, 0),
            None => (name.len() as u64, 1),
        };
        self.claim_and(dir, bytes + node.charge(), files)?;
        let id = self.insert(node);
        let entries = &mut self.folder_mut(dir)?.entries;
        entries.insert(name.to_owned(), Entry::Node(id));
        Ok(id)
    }

    pub(super) fn make_dir(&mut self, from: NodeId, path: &str) -> Fs<()> {
        self.make_at(from, path, true, Body::Dir(Folder::default()))
    }

    /// Makes a symbolic link, whose target must be below the root.
    pub(super) fn make_link(&mut self, from: NodeId, target: &str, path: &str) -> Fs<()> {
        if target.is_empty() {
            return Err(Errno::NoEntry);
        }
        if target.len() > PATH {
            return Err(Errno::NameTooLong);
        }
        if target.contains('\0') {
            return Err(Errno::IllegalByteSequence);
        }
        let walk = self.walk(from, path, false)?;
        let mut depth = self.depth(from) + walk.dirs.len() - 1;
        for component in target.split('/') {
            match component {
                "" | "." => {}
                ".." if depth == 0 => return Err(Errno::NotPermitted),
                ".." => depth -= 1,
                _ => depth += 1,
            }
        }
        if target.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        self.make_at(from, path, false, Body::Link(target.to_owned()))
    }

    fn make_at(&mut self, from: NodeId, path: &str, is_dir: bool, body: Body) -> Fs<()> {
        let walk = self.walk(from, path, false)?;
        let Last::Name(name, None) = &walk.last else {
            return Err(Errno::Exist);
        };
        if walk.is_dir && !is_dir {
            return Err(Errno::NoEntry);
        }
        self.writable()?;
        self.within(&walk, |layer, dir| layer.make(dir, name, body).map(drop))
    }

    pub(super) fn unlink(&mut self, from: NodeId, path: &str) -> Fs<()> {
        let walk = self.walk(from, path, false)?;
        let child = walk.found()?;
        self.writable()?;
        match (&walk.last, child.kind) {
            (Last::Here, _) | (_, Kind::Dir) => Err(Errno::IsDirectory),
            (Last::Name(name, _), _) => self.within(&walk, |layer, dir| layer.remove(dir, name)),
        }
    }

    pub(super) fn remove_dir(&mut self, from: NodeId, path: &str) -> Fs<()> {
        let walk = self.walk(from, path, false)?;
        let child = walk.found()?;
        self.writable()?;
        match (&walk.last, child.kind) {
            (Last::Here, _) => Err(Errno::Invalid),
            (_, Kind::File | Kind::Link) => Err(Errno::NotDirectory),
            (Last::Name(name, _), Kind::Dir) => self.within(&walk, |layer, dir| {
                layer.empty(&child)?;
                layer.remove(dir, name)
            }),
        }
    }

    /// Passes a directory in which nothing is.
    pub(super) fn empty(&self, dir: &Child) -> Fs<()> {
        let (beneath, entries) = match &dir.at {
            At::Base(path) => (Some(path.as_str()), None),
            At::Node(id) => {
                let folder = self.folder(*id)?;
                (folder.beneath.as_deref(), Some(&folder.entries))
            }
        };
        let mut own = entries.iter().flat_map(|entries| entries.values());
        if own.any(|entry| matches!(entry, Entry::Node(_))) {
            return Err(Errno::NotEmpty);
        }
        let Some(path) = beneath else {
            return Ok(());
        };
        let is_gone = |name: &str| entries.is_some_and(|entries| entries.contains_key(name));
        let listing = self.base()?.list(path)?;
        if listing.names.iter().all(|(name, _)| is_gone(name)) {
            Ok(())
        } else {
            Err(Errno::NotEmpty)
        }
    }

    /// Takes a name away, and what was under it if it has no other.
    fn remove(&mut self, dir: NodeId, name: &str) -> Fs<()> {
        let covers = self.beneath(dir, name)?.is_some();
        let length = name.len() as u64;
        let node = match self.entry(dir, name)? {
            Some(Entry::Gone) => return Err(Errno::NoEntry),
            Some(Entry::Node(id)) => Some(id),
            None => None,
        };
        let own = match node {
            Some(id) => !self.node(id)?.clean,
            None => false,
        };
        match node {
            Some(id) if own => {
                let frees = self.node(id)?.links == 1 && self.node(id)?.open == 0;
                if !covers {
                    self.quota.release(length, 0);
                } else if !frees {
                    self.quota.charge(0, 1)?;
                }
            }
            _ => self.claim_and(dir, length, 1)?,
        }
        let entries = &mut self.folder_mut(dir)?.entries;
        if covers || !own {
            entries.insert(name.to_owned(), Entry::Gone);
        } else {
            entries.remove(name);
        }
        if let Some(id) = node {
            self.detach(id)?;
            if own && covers && self.node(id).is_err() {
                // What it cost goes for the mark of its removal.
                self.quota.charge(0, 1)?;
            }
        }
        Ok(())
    }

    /// One name less; with the last, what a directory had under it is gone.
    pub(super) fn detach(&mut self, id: NodeId) -> Fs<()> {
        let node = self.node_mut(id)?;
        node.links = node.links.saturating_sub(1);
        node.home = None;
        let mut marks = (0, 0);
        if let Some(folder) = node.folder_mut() {
            for name in std::mem::take(&mut folder.entries).into_keys() {
                marks = (marks.0 + name.len() as u64, marks.1 + 1);
            }
            folder.beneath = None;
        }
        self.quota.release(marks.0, marks.1);
        self.settle(id);
        Ok(())
    }

    /// Sets a file's length.
    pub(super) fn set_size(&mut self, id: NodeId, size: u64) -> Fs<()> {
        self.content(id)?;
        self.writable()?;
        self.claim(id)?;
        let (content, store, quota) = self.content(id)?;
        content.set_size(store, quota, size)?;
        self.touch(id)
    }

    /// Writes to a file; says how much there was room for.
    pub(super) fn write(&mut self, id: NodeId, offset: Option<u64>, bytes: &[u8]) -> Fs<usize> {
        self.content(id)?;
        self.writable()?;
        self.claim(id)?;
        let (content, store, quota) = self.content(id)?;
        let offset = offset.unwrap_or_else(|| content.size());
        let written = content.write(store, quota, offset, bytes)?;
        self.touch(id)?;
        Ok(written)
    }

    /// Reads up to a page from a file; nothing at its end.
    pub(super) fn read(&mut self, id: NodeId, offset: u64, count: usize) -> Fs<Vec<u8>> {
        let (content, store, _) = self.content(id)?;
        content.read(store, offset, count)
    }

    pub(super) fn claim_for_times(&mut self, id: NodeId) -> Fs<()> {
        self.writable()?;
        self.claim(id)
    }
}
