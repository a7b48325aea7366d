//! What there is to know of a file without reading it.
//!
//! Nothing of the host's shows: what tells two files apart is a hash of where
//! they came from. The time of what lies in the base is a constant, and that of
//! what the session made or wrote is the session's own. So two sessions that do
//! the same at the same times see the same.

use std::sync::Arc;

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::base::Kind;
use super::layer::Layer;
use super::node::{Body, EPOCH, NodeId, Origin};
use super::time::datetime;
use super::walk::{At, Child};
use super::{Errno, Fs};

/// What `stat` tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) links: u64,
    pub(super) accessed: Datetime,
    pub(super) modified: Datetime,
}

/// A time to set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    Keep,
    /// The session's.
    Now,
    At(Datetime),
}

impl Time {
    fn apply(self, to: &mut Datetime, now: Datetime) {
        match self {
            Time::Keep => {}
            Time::Now => *to = now,
            Time::At(time) => *to = time,
        }
    }

    fn check(self) -> Fs<()> {
        match self {
            Time::At(time) if time.nanoseconds >= 1_000_000_000 => Err(Errno::Invalid),
            _ => Ok(()),
        }
    }
}

impl Layer {
    pub(super) fn stat(&self, at: &At) -> Fs<Stat> {
        match at {
            At::Node(id) => {
                let node = self.node(*id)?;
                Ok(Stat {
                    kind: node.kind(),
                    size: match &node.body {
                        Body::File(content) => content.size(),
                        Body::Link(target) => target.len() as u64,
                        Body::Dir(_) => 0,
                    },
                    links: node.links,
                    accessed: node.accessed,
                    modified: node.modified,
                })
            }
            At::Base(path) => {
                let entry = self.base()?.entry(path)?.ok_or(Errno::NoEntry)?;
                Ok(Stat {
                    kind: entry.kind,
                    size: match entry.kind {
                        Kind::Dir => 0,
                        Kind::File | Kind::Link => entry.size,
                    },
                    links: 1,
                    accessed: EPOCH,
                    modified: EPOCH,
                })
            }
        }
    }

    /// A number for what is at a place, the same for as long as it lives.
    pub(super) fn hash(&self, at: &At) -> Fs<(u64, u64)> {
        let origin = match at {
            At::Node(id) => self.node(*id)?.origin.clone(),
            At::Base(path) => Origin::Base(Arc::from(path.as_str())),
        };
        let mut hasher = blake3::Hasher::new();
        match &origin {
            Origin::Base(path) => hasher.update(b"base").update(path.as_bytes()),
            Origin::Made(count) => hasher.update(b"made").update(&count.to_le_bytes()),
        };
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        let both = u128::from_le_bytes(bytes);
        Ok((both as u64, (both >> 64) as u64))
    }

    pub(super) fn set_times(&mut self, id: NodeId, accessed: Time, modified: Time) -> Fs<()> {
        accessed.check()?;
        modified.check()?;
        self.claim_for_times(id)?;
        let now = self.now();
        let node = self.node_mut(id)?;
        accessed.apply(&mut node.accessed, now);
        modified.apply(&mut node.modified, now);
        Ok(())
    }

    /// The session's time.
    pub(super) fn now(&self) -> Datetime {
        datetime(self.clock.now())
    }

    /// Something was written.
    pub(super) fn touch(&mut self, id: NodeId) -> Fs<()> {
        let now = self.now();
        self.node_mut(id)?.modified = now;
        Ok(())
    }

    /// Looks at what a path leads to.
    pub(super) fn look(&self, from: NodeId, path: &str, follow: bool) -> Fs<Child> {
        self.walk(from, path, follow)?.found()
    }
}
