//! The overlay of one session: its upper layer and its root directories.

use std::sync::Arc;

use orwd_model::DiskBudget;

use crate::error::Result;
use crate::handle::{Handle, Rights, SharedLayer};
use crate::lower::LowerLayer;
use crate::storage::quota::{FileLimits, QuotaRefusal};
use crate::time::TimeSource;
use crate::upper::layer::UpperLayer;
use crate::upper::node::NodeId;

/// The files of one session; clones share them.
#[derive(Clone, Debug)]
pub struct Overlay {
    pub(crate) layer: SharedLayer,
    pub(crate) roots: Arc<[(NodeId, &'static str)]>,
}

impl Overlay {
    /// Creates an overlay over `data`, if any, with an empty directory at each
    /// of the other paths. A read-only overlay refuses all writes.
    pub fn new(
        data: Option<(&Arc<LowerLayer>, &'static str)>,
        others: &[&'static str],
        read_only: bool,
        limits: FileLimits,
        clock: Arc<dyn TimeSource>,
    ) -> Overlay {
        let lower = data.map(|(lower, _)| lower.clone());
        let mut layer = UpperLayer::new(lower, read_only, limits, clock);
        let mut roots = Vec::new();
        if let Some((_, at)) = data {
            roots.push((layer.root(Some("")), at));
        }
        for at in others {
            roots.push((layer.root(None), *at));
        }
        Overlay {
            layer: SharedLayer::new(layer),
            roots: roots.into(),
        }
    }

    /// Charges the temporary file to a budget, from the next page on.
    pub fn charge_disk_to(&self, budget: Arc<dyn DiskBudget>) {
        self.layer.lock().store.charge_to(budget);
    }

    /// Hashes from now on what the guest sees of the data directory.
    pub fn observe(&self) {
        let mut layer = self.layer.lock();
        if layer.lower.is_some() {
            layer.observed.start();
        }
    }

    /// Returns the hash of what the guest has seen of the data directory; none
    /// if there is no such directory, or if it is not observed.
    pub fn observed(&self) -> Option<[u8; 32]> {
        self.layer.lock().observed.digest()
    }

    /// Returns and clears the last refusal by the quota.
    pub fn take_refused(&self) -> Option<QuotaRefusal> {
        self.layer.lock().quota.take_refused()
    }

    /// Returns the root over the data directory.
    pub(crate) fn data(&self) -> Option<NodeId> {
        self.layer.lock().lower.as_ref()?;
        self.roots.first().map(|(id, _)| *id)
    }

    /// Opens the root directories of the guest.
    pub(crate) fn preopens(&self) -> Result<Vec<(Handle, &'static str)>> {
        let rights = Rights {
            read: true,
            write: !self.layer.lock().read_only,
        };
        self.roots
            .iter()
            .map(|(id, at)| {
                self.layer.lock().open(*id)?;
                let handle = Handle::from_open_node(self.layer.clone(), *id, rights);
                Ok((handle, *at))
            })
            .collect()
    }
}
