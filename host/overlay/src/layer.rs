//! The upper layer of one session, and how it lies over the base.
//!
//! Only what a session changed or holds open has a node here; everything else
//! is looked up in the base each time. A node is *pinned* for a handle or for
//! the length of one operation, *claimed* (and charged) when the session makes
//! it its own, and *settled*, which may remove it, when it may be of no more
//! use. Claiming a node claims the directories above it.

use std::collections::HashMap;
use std::sync::Arc;

use super::base::{Base, Kind, join};
use super::content::Content;
use super::node::{Body, Entry, Folder, Home, Node, NodeId, Origin};
use super::quota::{Allowance, Quota};
use super::store::Store;
use super::time::TimeSource;
use super::walk::{At, Child, Step};
use super::{DEPTH, Errno, Fs};

/// The files of one session.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) clock: Arc<dyn TimeSource>,
    pub(super) base: Option<Arc<Base>>,
    pub(super) read_only: bool,
    pub(super) quota: Quota,
    pub(super) store: Store,
    nodes: HashMap<NodeId, Node>,
    next: u64,
    made: u64,
}

impl Layer {
    pub(super) fn new(
        base: Option<Arc<Base>>,
        read_only: bool,
        allowed: Allowance,
        clock: Arc<dyn TimeSource>,
    ) -> Layer {
        Layer {
            clock,
            base,
            read_only,
            quota: Quota::new(allowed),
            store: Store::default(),
            nodes: HashMap::new(),
            next: 0,
            made: 0,
        }
    }

    /// A directory that the guest is given to begin with. It costs nothing and
    /// stays.
    pub(super) fn root(&mut self, beneath: Option<&str>) -> NodeId {
        let beneath: Option<Arc<str>> = beneath.map(Arc::from);
        let origin = match &beneath {
            Some(path) => Origin::Base(path.clone()),
            None => self.new_origin(),
        };
        let body = Body::Dir(Folder {
            beneath,
            ..Folder::default()
        });
        self.insert(Node::new(origin, false, None, body))
    }

    pub(super) fn new_origin(&mut self) -> Origin {
        self.made += 1;
        Origin::Made(self.made)
    }

    pub(super) fn insert(&mut self, mut node: Node) -> NodeId {
        if let Origin::Made(_) = node.origin {
            let now = self.now();
            (node.accessed, node.modified) = (now, now);
        }
        self.next += 1;
        let id = NodeId(self.next);
        self.nodes.insert(id, node);
        id
    }

    /// A node that is not there is a mistake of ours.
    pub(super) fn node(&self, id: NodeId) -> Fs<&Node> {
        self.nodes.get(&id).ok_or(Errno::BadDescriptor)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Fs<&mut Node> {
        self.nodes.get_mut(&id).ok_or(Errno::BadDescriptor)
    }

    pub(super) fn folder(&self, id: NodeId) -> Fs<&Folder> {
        self.node(id)?.folder().ok_or(Errno::NotDirectory)
    }

    pub(super) fn folder_mut(&mut self, id: NodeId) -> Fs<&mut Folder> {
        self.node_mut(id)?.folder_mut().ok_or(Errno::NotDirectory)
    }

    pub(super) fn entry(&self, dir: NodeId, name: &str) -> Fs<Option<Entry>> {
        Ok(self.folder(dir)?.entries.get(name).copied())
    }

    /// The content of a file, with what is needed to write it.
    pub(super) fn content(&mut self, id: NodeId) -> Fs<(&mut Content, &mut Store, &mut Quota)> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::BadDescriptor)?;
        match &mut node.body {
            Body::File(content) => Ok((content, &mut self.store, &mut self.quota)),
            Body::Dir(_) => Err(Errno::IsDirectory),
            Body::Link(_) => Err(Errno::Invalid),
        }
    }

    pub(super) fn base(&self) -> Fs<&Arc<Base>> {
        self.base.as_ref().ok_or(Errno::Io)
    }

    /// What the base has under a name of a directory, whatever lies over it.
    pub(super) fn beneath(&self, dir: NodeId, name: &str) -> Fs<Option<(String, Kind)>> {
        let Some(path) = &self.folder(dir)?.beneath else {
            return Ok(None);
        };
        self.in_base(path, name)
    }

    fn in_base(&self, directory: &str, name: &str) -> Fs<Option<(String, Kind)>> {
        let path = join(directory, name);
        let entry = self.base()?.entry(&path)?;
        Ok(entry.map(|entry| (path, entry.kind)))
    }

    /// What a directory has under a name.
    pub(super) fn lookup(&self, dir: &At, name: &str) -> Fs<Option<Child>> {
        let found = match dir {
            At::Node(id) => match self.entry(*id, name)? {
                Some(Entry::Gone) => None,
                Some(Entry::Node(child)) => {
                    return Ok(Some(Child {
                        kind: self.node(child)?.kind(),
                        at: At::Node(child),
                    }));
                }
                None => self.beneath(*id, name)?,
            },
            At::Base(path) => self.in_base(path, name)?,
        };
        Ok(found.map(|(path, kind)| Child {
            at: At::Base(path),
            kind,
        }))
    }

    /// Gives the last of these directories a node. Settle it afterwards.
    pub(super) fn pin(&mut self, dirs: &[Step]) -> Fs<NodeId> {
        let mut top = None;
        for step in dirs {
            top = Some(match (&step.at, top) {
                (At::Node(id), _) => *id,
                (At::Base(_), Some(parent)) => self.pin_child(parent, &step.name)?,
                (At::Base(_), None) => return Err(Errno::BadDescriptor),
            });
        }
        top.ok_or(Errno::BadDescriptor)
    }

    /// Gives an entry of a pinned directory a node.
    pub(super) fn pin_child(&mut self, dir: NodeId, name: &str) -> Fs<NodeId> {
        let mut child = self.lookup(&At::Node(dir), name)?.ok_or(Errno::NoEntry)?;
        if let At::Node(id) = child.at
            && self.is_outdated(id)?
        {
            // Who has it open reads on; whoever comes later gets the new one.
            let node = self.node_mut(id)?;
            node.links = 0;
            node.home = None;
            self.folder_mut(dir)?.entries.remove(name);
            child = self.lookup(&At::Node(dir), name)?.ok_or(Errno::NoEntry)?;
        }
        let path: Arc<str> = match child.at {
            At::Node(id) => return Ok(id),
            At::Base(path) => path.into(),
        };
        let base = self.base()?;
        let body = match child.kind {
            Kind::File => Body::File(Content::over(path.clone(), base.open(&path)?)?),
            Kind::Dir => Body::Dir(Folder {
                beneath: Some(path.clone()),
                ..Folder::default()
            }),
            Kind::Link => Body::Link(base.target(&path)?),
        };
        let home = Home {
            dir,
            name: name.to_owned(),
        };
        let id = self.insert(Node::new(Origin::Base(path), true, Some(home), body));
        let entries = &mut self.folder_mut(dir)?.entries;
        entries.insert(name.to_owned(), Entry::Node(id));
        Ok(id)
    }

    /// Whether the base has another file by now in the place of an unchanged
    /// one.
    fn is_outdated(&self, id: NodeId) -> Fs<bool> {
        let node = self.node(id)?;
        match &node.body {
            Body::File(content) if node.clean => content.is_outdated(self.base()?),
            _ => Ok(false),
        }
    }

    /// Makes a node the session's own, with the directories above it, and
    /// charges for them and for something besides: all of it or nothing.
    pub(super) fn claim_and(&mut self, id: NodeId, bytes: u64, files: u64) -> Fs<()> {
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
            if let Body::File(content) = &mut node.body {
                content.freeze();
            }
            if node.kind() != Kind::Dir {
                node.home = None;
            }
        }
        Ok(())
    }

    pub(super) fn claim(&mut self, id: NodeId) -> Fs<()> {
        self.claim_and(id, 0, 0)
    }

    /// Lets a node go that nothing needs any more, and then perhaps the
    /// directories above it.
    pub(super) fn settle(&mut self, id: NodeId) {
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
            let idle = node.folder().is_none_or(|folder| folder.entries.is_empty());
            if node.links > 0 && !(node.clean && idle) {
                return;
            }
            let Some(mut node) = self.nodes.remove(&id) else {
                return;
            };
            if !node.clean {
                self.quota.release(node.charge(), 1);
            }
            if let Body::File(content) = &mut node.body {
                content.free(&mut self.store);
            }
            if let Some(home) = node.home.filter(|_| node.links > 0) {
                if let Ok(folder) = self.folder_mut(home.dir) {
                    folder.entries.remove(&home.name);
                }
                next = Some(home.dir);
            }
        }
    }

    /// Opens a handle on a pinned node.
    pub(super) fn open(&mut self, id: NodeId) -> Fs<()> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::BadDescriptor)?;
        if let Body::File(content) = &mut node.body {
            content.open(self.base.as_deref())?;
        }
        self.quota.open()?;
        node.open += 1;
        Ok(())
    }

    pub(super) fn close(&mut self, id: NodeId) {
        self.quota.close();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.open = node.open.saturating_sub(1);
        }
        self.settle(id);
    }

    /// How far below its root a directory is.
    pub(super) fn depth(&self, dir: NodeId) -> usize {
        let mut depth = 0;
        let mut next = self.nodes.get(&dir);
        while let Some(home) = next.and_then(|node| node.home.as_ref()) {
            depth += 1;
            next = self.nodes.get(&home.dir);
        }
        depth
    }

    /// Whether a directory is another one or lies below it.
    pub(super) fn is_within(&self, dir: NodeId, other: NodeId) -> bool {
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

    /// How many directories deep a directory's own layer goes; bounded, since
    /// no tree is deeper than [`DEPTH`].
    pub(super) fn height(&self, dir: NodeId) -> usize {
        let mut height = 0;
        let mut level = vec![dir];
        while height <= DEPTH && !level.is_empty() {
            height += 1;
            let children = level.iter().filter_map(|id| self.nodes.get(id)?.folder());
            let below = children.flat_map(|folder| folder.entries.values());
            level = below
                .filter_map(|entry| match entry {
                    Entry::Node(id) if self.nodes.get(id)?.folder().is_some() => Some(*id),
                    _ => None,
                })
                .collect();
        }
        height
    }

    /// Every node with what it holds, for tests that count for themselves.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn all(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }
}
