//! On whose behalf an instance runs, and what it has used of the CPUs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many turns of an instance must end in time before it counts as one that
/// yields in time again.
const PROBATION: u32 = 64;

/// The same for a new instance on a server without keys, where a client could
/// use a fresh session for each long turn.
const ANONYMOUS_PROBATION: u32 = 8;

/// The owner of an instance. Each owner gets the same share of the CPUs,
/// however many instances it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The instance that answers task queries of this environment.
    Catalog(Arc<str>),
    /// The holder of the API key with this name; without a name, every client
    /// of a server without keys.
    Client(Option<Arc<str>>),
}

/// The account of one instance. Only the scheduler changes it, under its lock;
/// hence the relaxed accesses.
#[derive(Debug)]
pub(crate) struct CpuAccount {
    owner: Owner,
    /// The virtual time up to which the instance has used its share.
    paid_until: AtomicU64,
    /// Turns left until an overrun is forgotten.
    probation: AtomicU32,
}

impl CpuAccount {
    pub(crate) fn new(owner: Owner) -> Arc<CpuAccount> {
        let probation = match owner {
            Owner::Client(None) => ANONYMOUS_PROBATION,
            Owner::Client(Some(_)) | Owner::Catalog(_) => 0,
        };
        Arc::new(CpuAccount {
            owner,
            paid_until: AtomicU64::new(0),
            probation: AtomicU32::new(probation),
        })
    }

    /// Creates the account for the same instance on behalf of another owner.
    /// Whether it yields in time is not forgotten.
    pub(crate) fn for_owner(&self, owner: Owner) -> Arc<CpuAccount> {
        let account = CpuAccount::new(owner);
        let probation = self.probation.load(Ordering::Relaxed);
        account.probation.fetch_max(probation, Ordering::Relaxed);
        account
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) fn paid_until(&self) -> u64 {
        self.paid_until.load(Ordering::Relaxed)
    }

    pub(crate) fn set_paid_until(&self, time: u64) {
        self.paid_until.store(time, Ordering::Relaxed);
    }

    /// Returns whether the instance has yielded in time lately.
    pub(crate) fn yields_in_time(&self) -> bool {
        self.probation.load(Ordering::Relaxed) == 0
    }

    /// Records whether a turn exceeded its time by far.
    pub(crate) fn record_turn(&self, overrun: bool) {
        let turns = match overrun {
            true => PROBATION,
            false => self.probation.load(Ordering::Relaxed).saturating_sub(1),
        };
        self.probation.store(turns, Ordering::Relaxed);
    }
}
