//! The upper layer of one session, and how it covers the lower layer.
//!
//! Only what a session changed or holds open has a node here; everything else
//! is looked up in the lower layer each time. A node is *pinned* for a handle
//! or for one operation, *copied up* (and charged) when the session changes it,
//! and *released* when it may no longer be needed. Copying a node up copies up
//! the directories above it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{ErrorCode, Result};
use crate::lower::{FileKind, LowerLayer, join};
use crate::storage::content::FileContent;
use crate::storage::pages::PageStore;
use crate::storage::quota::{FileLimits, FileQuota, NODE_MEMORY};
use crate::time::{TimeSource, datetime};
use crate::upper::location::{DirStep, Found, Location};
use crate::upper::node::{Body, Directory, Entry, Node, NodeId, Origin, ParentLink};
use crate::upper::observed::Observations;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

/// Maximum nesting of directories, roots not counted.
pub(crate) const MAX_DEPTH: usize = 64;

/// The upper layer of one session.
#[derive(Debug)]
pub(crate) struct UpperLayer {
    pub(crate) clock: Arc<dyn TimeSource>,
    pub(crate) lower: Option<Arc<LowerLayer>>,
    pub(crate) read_only: bool,
    pub(crate) quota: FileQuota,
    pub(crate) store: PageStore,
    pub(crate) observed: Observations,
    nodes: HashMap<NodeId, Node>,
    next: u64,
    created: u64,
}

impl UpperLayer {
    pub(crate) fn new(
        lower: Option<Arc<LowerLayer>>,
        read_only: bool,
        limits: FileLimits,
        clock: Arc<dyn TimeSource>,
    ) -> UpperLayer {
        UpperLayer {
            clock,
            lower,
            read_only,
            quota: FileQuota::new(limits),
            store: PageStore::default(),
            observed: Observations::default(),
            nodes: HashMap::new(),
            next: 0,
            created: 0,
        }
    }

    /// Adds a root directory. It costs nothing and is never removed.
    pub(crate) fn root(&mut self, lower: Option<&str>) -> NodeId {
        let lower: Option<Arc<str>> = lower.map(Arc::from);
        let origin = match &lower {
            Some(path) => Origin::Lower(path.clone()),
            None => self.new_origin(),
        };
        let body = Body::Dir(Directory {
            lower,
            ..Directory::default()
        });
        self.insert(Node::new(origin, false, None, body))
    }

    pub(crate) fn new_origin(&mut self) -> Origin {
        self.created += 1;
        Origin::Created(self.created)
    }

    pub(crate) fn insert(&mut self, mut node: Node) -> NodeId {
        if let Origin::Created(_) = node.origin {
            let now = self.now();
            (node.accessed, node.modified) = (now, now);
        }
        self.next += 1;
        let id = NodeId(self.next);
        self.nodes.insert(id, node);
        id
    }

    /// Returns the session's wall time.
    pub(crate) fn now(&self) -> Datetime {
        datetime(self.clock.now())
    }

    /// Sets the modification time.
    pub(crate) fn touch(&mut self, id: NodeId) -> Result<()> {
        let now = self.now();
        self.node_mut(id)?.modified = now;
        Ok(())
    }

    /// A missing node is a bug in the host.
    pub(crate) fn node(&self, id: NodeId) -> Result<&Node> {
        self.nodes.get(&id).ok_or(ErrorCode::BadDescriptor)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or(ErrorCode::BadDescriptor)
    }

    pub(crate) fn directory(&self, id: NodeId) -> Result<&Directory> {
        self.node(id)?.directory().ok_or(ErrorCode::NotDirectory)
    }

    pub(crate) fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory> {
        self.node_mut(id)?
            .directory_mut()
            .ok_or(ErrorCode::NotDirectory)
    }

    pub(crate) fn entry(&self, dir: NodeId, name: &str) -> Result<Option<Entry>> {
        Ok(self.directory(dir)?.entries.get(name).copied())
    }

    /// Returns the content of a file, with what is needed to write it.
    pub(crate) fn content(
        &mut self,
        id: NodeId,
    ) -> Result<(&mut FileContent, &mut PageStore, &mut FileQuota)> {
        let node = self.nodes.get_mut(&id).ok_or(ErrorCode::BadDescriptor)?;
        match &mut node.body {
            Body::File(content) => Ok((content, &mut self.store, &mut self.quota)),
            Body::Dir(_) => Err(ErrorCode::IsDirectory),
            Body::Link(_) => Err(ErrorCode::Invalid),
        }
    }

    pub(crate) fn lower(&self) -> Result<&Arc<LowerLayer>> {
        self.lower.as_ref().ok_or(ErrorCode::Io)
    }

    /// Returns what the lower layer has under a name of a directory, whether or
    /// not it is covered.
    pub(crate) fn lower_entry(
        &self,
        dir: NodeId,
        name: &str,
    ) -> Result<Option<(String, FileKind)>> {
        let Some(path) = &self.directory(dir)?.lower else {
            return Ok(None);
        };
        self.lookup_lower(path, name)
    }

    fn lookup_lower(&self, directory: &str, name: &str) -> Result<Option<(String, FileKind)>> {
        let path = join(directory, name);
        let entry = self.lower()?.entry(&path)?;
        Ok(entry.map(|entry| (path, entry.kind)))
    }

    /// Looks up a name in a directory.
    pub(crate) fn lookup(&self, dir: &Location, name: &str) -> Result<Option<Found>> {
        let found = match dir {
            Location::Upper(id) => match self.entry(*id, name)? {
                Some(Entry::Whiteout) => None,
                Some(Entry::Node(child)) => {
                    return Ok(Some(Found {
                        kind: self.node(child)?.kind(),
                        location: Location::Upper(child),
                    }));
                }
                None => self.lower_entry(*id, name)?,
            },
            Location::Lower(path) => self.lookup_lower(path, name)?,
        };
        Ok(found.map(|(path, kind)| Found {
            location: Location::Lower(path),
            kind,
        }))
    }

    /// Pins the last of these directories. The caller must release it.
    pub(crate) fn pin(&mut self, dirs: &[DirStep]) -> Result<NodeId> {
        let mut top = None;
        for step in dirs {
            top = Some(match (&step.location, top) {
                (Location::Upper(id), _) => *id,
                (Location::Lower(_), Some(parent)) => self
                    .pin_child(parent, &step.name)
                    // Those above it were pinned for nothing.
                    .inspect_err(|_| self.release_node(parent))?,
                (Location::Lower(_), None) => return Err(ErrorCode::BadDescriptor),
            });
        }
        top.ok_or(ErrorCode::BadDescriptor)
    }

    /// Pins an entry of a pinned directory.
    pub(crate) fn pin_child(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let mut child = self
            .lookup(&Location::Upper(dir), name)?
            .ok_or(ErrorCode::NoEntry)?;
        if let Location::Upper(id) = child.location
            && self.is_stale(id)?
        {
            // Open handles keep the old file; new ones get the new file.
            let node = self.node_mut(id)?;
            node.links = 0;
            node.home = None;
            self.directory_mut(dir)?.entries.remove(name);
            child = self
                .lookup(&Location::Upper(dir), name)?
                .ok_or(ErrorCode::NoEntry)?;
        }
        let path: Arc<str> = match child.location {
            Location::Upper(id) => return Ok(id),
            Location::Lower(path) => path.into(),
        };
        let cost = NODE_MEMORY + path.len() as u64 + 2 * name.len() as u64;
        let lower = self.lower()?;
        let body = match child.kind {
            FileKind::File => Body::File(FileContent::over(path.clone(), lower.open(&path)?)?),
            FileKind::Dir => Body::Dir(Directory {
                lower: Some(path.clone()),
                ..Directory::default()
            }),
            FileKind::Link => Body::Link(lower.target(&path)?),
        };
        let home = ParentLink {
            dir,
            name: name.to_owned(),
        };
        let mut node = Node::new(Origin::Lower(path), true, Some(home), body);
        if let Body::Link(target) = &node.body {
            node.pinned = target.len() as u64;
        }
        node.pinned += cost;
        self.quota.pin(node.pinned)?;
        let id = self.insert(node);
        let entries = &mut self.directory_mut(dir)?.entries;
        entries.insert(name.to_owned(), Entry::Node(id));
        Ok(id)
    }

    /// Returns whether the lower layer has replaced the file of an unmodified
    /// node.
    fn is_stale(&self, id: NodeId) -> Result<bool> {
        let node = self.node(id)?;
        match &node.body {
            Body::File(content) if node.clean => content.is_stale(self.lower()?),
            _ => Ok(false),
        }
    }

    /// Copies up a node and the directories above it, and charges for them and
    /// for the given extra: all or nothing.
    pub(crate) fn copy_up_with(&mut self, id: NodeId, bytes: u64, files: u64) -> Result<()> {
        let mut chain = Vec::new();
        let (mut bytes, mut files) = (bytes, files);
        let mut next = Some(id);
        while let Some(id) = next {
            let node = self.node(id)?;
            if !node.clean {
                break;
            }
            bytes += node.charge();
            files += 1;
            next = node.home.as_ref().map(|home| {
                bytes += home.name.len() as u64;
                home.dir
            });
            chain.push(id);
        }
        self.quota.charge(bytes, files)?;
        for id in chain {
            let node = self.node_mut(id)?;
            node.clean = false;
            let pinned = std::mem::take(&mut node.pinned);
            if let Body::File(content) = &mut node.body {
                content.freeze();
            }
            if node.kind() != FileKind::Dir {
                node.home = None;
            }
            self.quota.unpin(pinned);
        }
        Ok(())
    }

    pub(crate) fn copy_up(&mut self, id: NodeId) -> Result<()> {
        self.copy_up_with(id, 0, 0)
    }

    /// Removes a node that is no longer needed, and then directories above it.
    pub(crate) fn release_node(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let Some(node) = self.nodes.get_mut(&id) else {
                return;
            };
            if node.open > 0 {
                return;
            }
            if let Body::File(content) = &mut node.body {
                content.close();
            }
            let idle = node
                .directory()
                .is_none_or(|folder| folder.entries.is_empty());
            if node.links > 0 && !(node.clean && idle) {
                return;
            }
            let Some(mut node) = self.nodes.remove(&id) else {
                return;
            };
            self.quota.unpin(node.pinned);
            if !node.clean {
                self.quota.release(node.charge(), 1);
            }
            if let Body::File(content) = &mut node.body {
                content.free(&mut self.store);
            }
            if let Some(home) = node.home.filter(|_| node.links > 0) {
                if let Ok(folder) = self.directory_mut(home.dir) {
                    folder.entries.remove(&home.name);
                }
                next = Some(home.dir);
            }
        }
    }

    /// Opens a handle on a pinned node.
    pub(crate) fn open(&mut self, id: NodeId) -> Result<()> {
        let node = self.nodes.get_mut(&id).ok_or(ErrorCode::BadDescriptor)?;
        if let Body::File(content) = &mut node.body {
            content.open(self.lower.as_deref())?;
        }
        self.quota.open()?;
        node.open += 1;
        Ok(())
    }

    pub(crate) fn close(&mut self, id: NodeId) {
        self.quota.close();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.open = node.open.saturating_sub(1);
        }
        self.release_node(id);
    }

    /// Returns the depth of a directory below its root.
    pub(crate) fn depth(&self, dir: NodeId) -> usize {
        let mut depth = 0;
        let mut next = self.nodes.get(&dir);
        while let Some(home) = next.and_then(|node| node.home.as_ref()) {
            depth += 1;
            next = self.nodes.get(&home.dir);
        }
        depth
    }

    /// Returns whether a directory equals another or lies below it.
    pub(crate) fn is_within(&self, dir: NodeId, other: NodeId) -> bool {
        let mut next = Some(dir);
        while let Some(id) = next {
            if id == other {
                return true;
            }
            next = self
                .nodes
                .get(&id)
                .and_then(|node| node.home.as_ref())
                .map(|home| home.dir);
        }
        false
    }

    /// Returns how many levels of directories the upper layer has below this
    /// one. Bounded, since no path is deeper than [`MAX_DEPTH`].
    pub(crate) fn height(&self, dir: NodeId) -> usize {
        let mut height = 0;
        let mut level = vec![dir];
        while height <= MAX_DEPTH && !level.is_empty() {
            height += 1;
            let children = level
                .iter()
                .filter_map(|id| self.nodes.get(id)?.directory());
            let below = children.flat_map(|folder| folder.entries.values());
            level = below
                .filter_map(|entry| match entry {
                    Entry::Node(id) if self.nodes.get(id)?.directory().is_some() => Some(*id),
                    _ => None,
                })
                .collect();
        }
        height
    }

    /// Iterates over all nodes, for tests that recount.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }
}
