//! What a tree is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::base::Kind;
use super::content::Content;

/// The time of what lies in the base, as long as no session writes it or sets
/// it: a constant, so that two sessions on the same data see the same, wherever
/// the data were copied to. It is the first of January 2020.
pub(super) const EPOCH: Datetime = Datetime {
    seconds: 1_577_836_800,
    nanoseconds: 0,
};

/// A file, directory or symbolic link of the upper layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u64);

/// Where something came from, which is what it is told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A path of the base.
    Base(Arc<str>),
    /// The session made it; counted.
    Made(u64),
}

/// Something that a handle is open on, that the session changed, or that leads
/// to such a thing.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    /// Whether it is as it is in the base. Such a node is there for a handle,
    /// costs nothing, and goes with the last handle.
    pub(super) clean: bool,
    /// Where it is: for directories always, for others while clean.
    pub(super) home: Option<Home>,
    /// Handles open on it.
    pub(super) open: u64,
    /// Names that it has.
    pub(super) links: u64,
    pub(super) accessed: Datetime,
    pub(super) modified: Datetime,
    pub(super) body: Body,
}

/// A directory and a name in it.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) dir: NodeId,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) enum Body {
    File(Content),
    Dir(Folder),
    Link(String),
}

/// A directory: its own entries, over those of a directory of the base.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) beneath: Option<Arc<str>>,
    pub(super) entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Node(NodeId),
    /// What the base has under this name was removed.
    Gone,
}

impl Node {
    pub(super) fn new(origin: Origin, clean: bool, home: Option<Home>, body: Body) -> Node {
        Node {
            origin,
            clean,
            home,
            open: 0,
            links: 1,
            accessed: EPOCH,
            modified: EPOCH,
            body,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Dir,
            Body::Link(_) => Kind::Link,
        }
    }

    /// Bytes charged for it, apart from its names.
    pub(super) fn charge(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.charge(),
            Body::Dir(_) => 0,
            Body::Link(target) => target.len() as u64,
        }
    }

    pub(super) fn folder(&self) -> Option<&Folder> {
        match &self.body {
            Body::Dir(folder) => Some(folder),
            _ => None,
        }
    }

    pub(super) fn folder_mut(&mut self) -> Option<&mut Folder> {
        match &mut self.body {
            Body::Dir(folder) => Some(folder),
            _ => None,
        }
    }
}
