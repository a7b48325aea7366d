//! The files of a session: a copy-on-write tree, with quotas.
//!
//! The lower layer ([`base`]) is the environment's data directory, shared by
//! all its sessions, read where it lies and never written. The upper layer
//! ([`layer`]) belongs to one session, holds what it wrote, removed and
//! renamed, is charged for byte by byte, and goes with the session. A guest
//! never names a path of the host's: it names places in this tree, and what is
//! not in the tree does not exist. What is to outlast the session is
//! [published](publish) when it ends.
//!
//! Everything fails with an error code of WASI, and nothing traps but a guest
//! that is out of handles in its table. The host's own trouble is `io`, with
//! the reason in the log.

mod base;
mod content;
mod handle;
mod host;
mod layer;
mod listing;
mod names;
mod node;
mod ops;
mod publish;
mod quota;
mod stat;
mod store;
mod streams;
mod time;
mod view;
mod walk;

// What tests are made of, and the fuzz target of the tree.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod model;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code))]
#[allow(clippy::unwrap_used)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::fs::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as Errno;

use base::Base;
use handle::{Handle, Rights};
use layer::Layer;
use node::NodeId;

pub use base::UNFINISHED;
pub use publish::Published;
pub use quota::Allowance;
pub use quota::Refused;
pub use time::{TimeSource, datetime};
pub use view::{HasTree, View};

/// What an operation on the tree gives.
type Fs<T> = Result<T, Errno>;

/// Directories below each other, the roots not counted.
const DEPTH: usize = 64;

/// The base layer of all sessions on one environment; clones share it.
#[derive(Clone, Debug)]
pub struct Ground(Arc<Base>);

impl Ground {
    /// The tree below an open directory.
    pub fn new(dir: Dir) -> Ground {
        Ground(Arc::new(Base::new(dir)))
    }
}

/// The files of one session; clones share them.
#[derive(Clone, Debug)]
pub struct Tree {
    layer: Arc<Mutex<Layer>>,
    roots: Arc<[(NodeId, &'static str)]>,
}

impl Tree {
    /// A tree with the data at `data`, if there is any, and an empty directory
    /// at each of the other places. Nothing can be written if it is read-only.
    pub fn new(
        data: Option<(&Ground, &'static str)>,
        others: &[&'static str],
        read_only: bool,
        allowed: Allowance,
        clock: Arc<dyn TimeSource>,
    ) -> Tree {
        let base = data.map(|(ground, _)| ground.0.clone());
        let mut layer = Layer::new(base, read_only, allowed, clock);
        let mut roots = Vec::new();
        if let Some((_, at)) = data {
            roots.push((layer.root(Some("")), at));
        }
        for at in others {
            roots.push((layer.root(None), *at));
        }
        Tree {
            layer: Arc::new(Mutex::new(layer)),
            roots: roots.into(),
        }
    }

    /// What the quota refused since this was asked before.
    pub fn take_refused(&self) -> Option<Refused> {
        self.lock().quota.take_refused()
    }

    /// The root that lies over the data directory.
    fn data(&self) -> Option<NodeId> {
        self.lock().base.as_ref()?;
        self.roots.first().map(|(id, _)| *id)
    }

    /// Opens the directories that the guest begins with.
    fn preopens(&self) -> Fs<Vec<(Handle, &'static str)>> {
        let rights = Rights {
            read: true,
            write: !self.lock().read_only,
        };
        self.roots
            .iter()
            .map(|(id, at)| {
                self.lock().open(*id)?;
                Ok((Handle::adopt(self.clone(), *id, rights), *at))
            })
            .collect()
    }

    /// One task works on a session, so nobody waits here. After a panic
    /// elsewhere the tree may be odd, and it is the session's own.
    fn lock(&self) -> MutexGuard<'_, Layer> {
        self.layer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
