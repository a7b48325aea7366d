//! The nodes of the upper layer.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use crate::lower::FileKind;
use crate::storage::content::FileContent;

/// The timestamp of lower files until a session writes or sets it: a constant
/// (2020-01-01), so that two sessions on the same data see the same, on any
/// machine.
pub(crate) const LOWER_TIME: Datetime = Datetime {
    seconds: 1_577_836_800,
    nanoseconds: 0,
};

/// Identifies a file, directory or symbolic link of the upper layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u64);

/// Where a node came from, which identifies it to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A path of the lower layer.
    Lower(Arc<str>),
    /// Created by the session; a counter.
    Created(u64),
}

/// A node: something with an open handle, or changed by the session, or a
/// directory that leads to one.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    /// Whether it is unmodified. A clean node exists for a handle, costs
    /// nothing, and is removed with the last handle.
    pub(crate) clean: bool,
    /// Its place: always set for directories, and for others while clean.
    pub(crate) home: Option<ParentLink>,
    /// Open handles.
    pub(crate) open: u64,
    /// Number of names.
    pub(crate) links: u64,
    /// Bytes charged while it is unmodified.
    pub(crate) pinned: u64,
    pub(crate) accessed: Datetime,
    pub(crate) modified: Datetime,
    pub(crate) body: Body,
}

/// A directory and a name in it.
#[derive(Clone, Debug)]
pub(crate) struct ParentLink {
    pub(crate) dir: NodeId,
    pub(crate) name: String,
}

#[derive(Debug)]
pub(crate) enum Body {
    File(FileContent),
    Dir(Directory),
    Link(String),
}

/// A directory: its own entries, over those of a directory of the lower layer.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) lower: Option<Arc<str>>,
    pub(crate) entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Node(NodeId),
    /// The lower entry of this name was removed.
    Whiteout,
}

impl Node {
    pub(crate) fn new(origin: Origin, clean: bool, home: Option<ParentLink>, body: Body) -> Node {
        Node {
            origin,
            clean,
            home,
            open: 0,
            links: 1,
            pinned: 0,
            accessed: LOWER_TIME,
            modified: LOWER_TIME,
            body,
        }
    }

    pub(crate) fn kind(&self) -> FileKind {
        match self.body {
            Body::File(_) => FileKind::File,
            Body::Dir(_) => FileKind::Dir,
            Body::Link(_) => FileKind::Link,
        }
    }

    /// Returns the bytes charged for it, without its names. The path of its
    /// origin is held for as long as it exists.
    pub(crate) fn charge(&self) -> u64 {
        let path = match &self.origin {
            Origin::Lower(path) => path.len() as u64,
            Origin::Created(_) => 0,
        };
        path + match &self.body {
            Body::File(content) => content.charge(),
            Body::Dir(_) => 0,
            Body::Link(target) => target.len() as u64,
        }
    }

    /// Returns the files charged for it: one for each name, and one if it has
    /// none and is open.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn files(&self) -> u64 {
        self.links.max(1)
    }

    pub(crate) fn directory(&self) -> Option<&Directory> {
        match &self.body {
            Body::Dir(folder) => Some(folder),
            _ => None,
        }
    }

    pub(crate) fn directory_mut(&mut self) -> Option<&mut Directory> {
        match &mut self.body {
            Body::Dir(folder) => Some(folder),
            _ => None,
        }
    }
}
