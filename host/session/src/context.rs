//! What all sessions of a server share.

use std::sync::Arc;
use std::time::Duration;

use orwd_catalog::ListingLimits;
use orwd_engine::{Engine, SessionPermit};
use orwd_journal::{DiskLimits, DiskQuota, Durability, Journal};
use orwd_limiter::ByteBudget;

use crate::actor::state::SharedState;
use crate::api::principal::Principal;
use crate::limits::eviction::ResidentSet;
use crate::limits::history_reader::HistoryReader;
use crate::limits::listings::Listings;
use crate::limits::permit_turns::PermitTurns;
use crate::limits::quota::{KeyQuota, QuotaCounter};
use crate::limits::resume_limiter::ResumeLimiter;
use crate::metrics::counters::SessionCounters;
use crate::runs::result_memory::ResultMemory;
use crate::runs::result_room::ResultRoom;
use crate::runs::run_id::RunIdSigner;
use crate::versions::VersionRegistry;

/// The operator's settings for sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// How long a session stays open without a request.
    pub idle_timeout: Duration,
    /// How long a request waits for setup, or for a session to resume.
    pub setup_wait: Duration,
    /// How long a result can be fetched after its run has finished.
    pub result_ttl: Duration,
    /// How long a guest is idle before it is hibernated. None disables both
    /// hibernation and eviction.
    pub hibernate_after: Option<Duration>,
    /// How long a session waits while its data differs from what it has seen.
    pub data_change_wait: Duration,
    /// How long an ended session stays in the journal.
    pub retention: Duration,
    /// The most sessions open at once, in memory or not.
    pub max_open_sessions: usize,
    /// The quotas of each API key.
    pub key_quota: KeyQuota,
    /// The guests of one owner that wait for each CPU; further calls wait.
    pub cpu_queue: usize,
    /// The disk space of each owner, and what is kept free.
    pub disk: DiskLimits,
    /// What one list of tasks may have.
    pub listing: ListingLimits,
    /// How much memory each kind of content may take.
    pub memory: MemoryLimits,
}

/// The most bytes of each kind of content that all sessions hold together. One
/// owner holds at most half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Calls that wait or run, with their input.
    pub requests: usize,
    /// Results that can be fetched again, and idempotency keys.
    pub results: usize,
    /// Histories that are read from the journal.
    pub histories: usize,
    /// Lists of tasks.
    pub listings: usize,
}

/// The services that every session uses.
pub(crate) struct SessionContext {
    pub(crate) engine: Engine,
    pub(crate) settings: SessionSettings,
    pub(crate) journal: Journal,
    pub(crate) run_ids: RunIdSigner,
    pub(crate) versions: VersionRegistry,
    pub(crate) residents: ResidentSet,
    pub(crate) resume_limiter: ResumeLimiter,
    pub(crate) permit_turns: PermitTurns,
    /// Open sessions per principal, hibernated or not.
    pub(crate) session_quota: QuotaCounter,
    /// Calls in flight per principal.
    pub(crate) call_quota: QuotaCounter,
    /// Disk space per principal.
    pub(crate) disk_quota: DiskQuota,
    /// Memory of the calls in flight.
    pub(crate) requests: Arc<ByteBudget<Principal>>,
    pub(crate) results: Arc<ResultMemory>,
    pub(crate) histories: HistoryReader,
    pub(crate) listings: Listings,
    pub(crate) counters: SessionCounters,
}

impl SessionContext {
    /// Returns where the results of a session are charged.
    pub(crate) fn result_room(&self, session: &SharedState) -> Arc<ResultRoom> {
        let runtime = session.runtime();
        let largest = runtime.map_or(0, |runtime| runtime.environment.limits().result);
        let owner = &session.identity.owner;
        Arc::new(ResultRoom::new(&self.results, owner, largest))
    }

    /// Returns whether requests and results are journaled.
    pub(crate) fn is_journaled(&self) -> bool {
        self.journal.durability() != Durability::None
    }

    /// Returns a permit for a session of this owner, after an eviction if
    /// necessary. None if there is none, or memory is short.
    pub(crate) async fn acquire_permit(&self, owner: &Principal) -> Option<SessionPermit> {
        if self.engine.host_memory().is_short() {
            return None;
        }
        self.residents.acquire_permit(&self.engine, owner).await
    }
}
