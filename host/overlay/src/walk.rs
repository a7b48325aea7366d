//! From a path to a place in the tree, component by component.
//!
//! There is no outside: a path starts at a directory of the tree, `..` takes
//! back a step that was made, and with none left it is refused, as are paths
//! that begin at a root. Symbolic links are followed by the same rules, so
//! one that points out leads nowhere. Names, paths, depth and links in a row
//! are bounded.

use super::base::Kind;
use super::layer::Layer;
use super::node::{Body, NodeId};
use super::{DEPTH, Errno, Fs};

/// Bytes of a name.
const NAME: usize = 255;

/// Bytes of a path, and of where a symbolic link leads.
pub(super) const PATH: usize = 4096;

/// Symbolic links on the way to one place.
const LINKS: usize = 40;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// In the session's layer.
    Node(NodeId),
    /// In the base, and as it is there.
    Base(String),
}

/// Something found.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// A directory on the way.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) at: At,
    pub(super) name: String,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Walk {
    /// The directories on the way, each in the one before.
    pub(super) dirs: Vec<Step>,
    pub(super) last: Last,
    /// Whether the path ends in a slash or a dot, and so means a directory.
    pub(super) is_dir: bool,
}

/// The end of a path.
#[derive(Debug)]
pub(super) enum Last {
    /// The last of the directories.
    Here,
    /// A name in it, and what is there.
    Name(String, Option<Child>),
}

impl Walk {
    /// What the path leads to, if that is there and is what the path says.
    pub(super) fn found(&self) -> Fs<Child> {
        match &self.last {
            Last::Here => {
                let step = self.dirs.last().ok_or(Errno::BadDescriptor)?;
                Ok(Child {
                    at: step.at.clone(),
                    kind: Kind::Dir,
                })
            }
            Last::Name(_, None) => Err(Errno::NoEntry),
            Last::Name(_, Some(child)) if self.is_dir && child.kind != Kind::Dir => {
                Err(Errno::NotDirectory)
            }
            Last::Name(_, Some(child)) => Ok(child.clone()),
        }
    }
}

/// What remains of a path, the next component last.
struct Rest {
    components: Vec<String>,
    is_dir: bool,
}

impl Rest {
    fn of(path: &str) -> Fs<Rest> {
        if path.is_empty() {
            return Err(Errno::NoEntry);
        }
        if path.len() > PATH {
            return Err(Errno::NameTooLong);
        }
        if path.contains('\0') {
            return Err(Errno::IllegalByteSequence);
        }
        if path.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        let mut rest = Rest {
            components: Vec::new(),
            is_dir: false,
        };
        rest.push(path);
        Ok(rest)
    }

    /// Puts a path before what remains.
    fn push(&mut self, path: &str) {
        if self.components.is_empty() {
            let end = path.rsplit('/').next();
            self.is_dir |= matches!(end, Some("" | "." | ".."));
        }
        let components = path.rsplit('/');
        self.components.extend(
            components
                .filter(|component| !matches!(*component, "" | "."))
                .map(str::to_owned),
        );
    }
}

impl Layer {
    /// Walks from a directory. The last component, if it is a symbolic link,
    /// is followed if `follow` says so.
    pub(super) fn walk(&self, from: NodeId, path: &str, follow: bool) -> Fs<Walk> {
        self.folder(from)?;
        let mut rest = Rest::of(path)?;
        let mut dirs = vec![Step {
            at: At::Node(from),
            name: String::new(),
        }];
        let depth = self.depth(from);
        let mut links = 0;
        while let Some(name) = rest.components.pop() {
            if name == ".." {
                // The first step is where the path starts.
                if dirs.len() == 1 {
                    return Err(Errno::NotPermitted);
                }
                dirs.pop();
                continue;
            }
            if name.len() > NAME || depth + dirs.len() > DEPTH {
                return Err(Errno::NameTooLong);
            }
            let top = dirs.last().ok_or(Errno::BadDescriptor)?;
            let child = self.lookup(&top.at, &name)?;
            let is_last = rest.components.is_empty();
            match child {
                Some(child) if child.kind == Kind::Link && (!is_last || follow || rest.is_dir) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::Loop);
                    }
                    let target = self.target(&child.at)?;
                    if target.starts_with('/') {
                        return Err(Errno::NotPermitted);
                    }
                    rest.push(&target);
                }
                child if is_last => {
                    return Ok(Walk {
                        dirs,
                        last: Last::Name(name, child),
                        is_dir: rest.is_dir,
                    });
                }
                Some(child) if child.kind == Kind::Dir => dirs.push(Step { at: child.at, name }),
                Some(_) => return Err(Errno::NotDirectory),
                None => return Err(Errno::NoEntry),
            }
        }
        Ok(Walk {
            dirs,
            last: Last::Here,
            is_dir: true,
        })
    }

    /// Where a symbolic link leads, as it is written.
    pub(super) fn target(&self, at: &At) -> Fs<String> {
        match at {
            At::Base(path) => self.base()?.target(path),
            At::Node(id) => match &self.node(*id)?.body {
                Body::Link(target) => Ok(target.clone()),
                _ => Err(Errno::Invalid),
            },
        }
    }
}
