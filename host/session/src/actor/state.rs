//! What the actor of a session and its handles share.
//!
//! The actor moves the session from phase to phase. A deletion can come at any
//! time and is final.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use orwd_catalog::Environment;
use orwd_journal::{EpisodeId, Hash, ImportOrigin};
use orwd_model::{Digest, EnvName, Fault, Seed, SessionId, Timestamp, ToolSpec};
use tokio::sync::watch;

use crate::api::create::{DeliveryFlag, Resumability};
use crate::api::error::SessionError;
use crate::api::principal::Principal;
use crate::metrics::counters::CallCounters;
use crate::runs::idempotency::RetryTracker;
use crate::runs::run_cache::RunCache;

/// The phase of a session.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Its setup is running.
    Starting,
    /// It accepts requests.
    Ready,
    /// Its guest is not in memory; the next request resumes it.
    Hibernated,
    /// Its guest is not in memory, and could not be resumed because its data
    /// differs; the next request tries again.
    DataDiffers {
        /// The difference, for people.
        reason: String,
        /// How many attempts to resume it have failed so.
        attempts: u64,
    },
    /// It is being rebuilt from the journal.
    Resuming,
    /// Its setup failed; the environment's own message.
    SetupFailed(String),
    /// A fault ended its guest.
    Faulted(Fault),
    /// It cannot be rebuilt; the reason.
    Lost(String),
    /// It was deleted or has expired; calls in flight finish.
    Deleted,
    /// The server is stopping; the session continues after a restart.
    Stopping,
}

impl Phase {
    /// Returns whether a request can be processed, fails, or must wait
    /// (`None`).
    pub(crate) fn readiness(&self) -> Option<Result<(), SessionError>> {
        match self {
            Phase::Starting | Phase::Hibernated | Phase::DataDiffers { .. } | Phase::Resuming => {
                None
            }
            Phase::Ready => Some(Ok(())),
            Phase::SetupFailed(message) => Some(Err(SessionError::SetupFailed(message.clone()))),
            Phase::Faulted(fault) => Some(Err(SessionError::Gone(fault.clone()))),
            Phase::Lost(reason) => Some(Err(SessionError::Lost(reason.clone()))),
            Phase::Deleted => Some(Err(SessionError::Deleted)),
            Phase::Stopping => Some(Err(SessionError::Starting)),
        }
    }

    /// Returns whether no transition is in progress, so that the guest may be
    /// hibernated.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Phase::Ready | Phase::SetupFailed(_))
    }

    /// Returns the name of the phase for people and programs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Hibernated => "asleep",
            Phase::DataDiffers { .. } => "data_differs",
            Phase::Resuming => "waking",
            Phase::SetupFailed(_) => "setup_failed",
            Phase::Faulted(_) => "faulted",
            Phase::Lost(_) => "lost",
            Phase::Deleted => "deleted",
            Phase::Stopping => "stopping",
        }
    }
}

/// What never changes about a session.
pub(crate) struct SessionIdentity {
    pub(crate) owner: Principal,
    pub(crate) id: SessionId,
    pub(crate) episode: EpisodeId,
    pub(crate) environment: EnvName,
    pub(crate) component: Digest,
    pub(crate) created: Timestamp,
    /// Where it comes from, if this host did not run all of it.
    pub(crate) import: Option<ImportOrigin>,
    /// Known without the journal only to the process that created the session.
    pub(crate) creation: Option<CreationInfo>,
}

/// What a repeated `/create` request is compared with and answered from.
#[derive(Clone, Copy)]
pub(crate) struct CreationInfo {
    /// The fingerprint of the request that created the session.
    pub(crate) fingerprint: Hash,
    pub(crate) seed: Seed,
    pub(crate) resumability: Resumability,
}

/// What a session runs on, known once its guest has been in memory.
pub(crate) struct RuntimeInfo {
    pub(crate) environment: Environment,
    /// The tools of the task when the episode was opened; listed while setup
    /// runs and the guest cannot be entered.
    pub(crate) first_task_tools: Vec<ToolSpec>,
    /// The toolset that the client requested.
    pub(crate) toolset: Option<String>,
    pub(crate) resumability: Resumability,
    /// Whether the session publishes what it wrote when it ends.
    pub(crate) publishes: bool,
    /// The JSON depth limit of tool input and candidates.
    pub(crate) json_depth: usize,
}

impl RuntimeInfo {
    /// Returns whether the guest may be dropped, since the journal can rebuild
    /// it.
    pub(crate) fn can_hibernate(&self) -> bool {
        self.resumability == Resumability::Yes
    }
}

/// The state that the actor of a session and its handles share.
pub(crate) struct SharedState {
    pub(crate) identity: SessionIdentity,
    pub(crate) phase: watch::Sender<Phase>,
    /// Whether the client has the response to `/create`.
    pub(crate) delivery: DeliveryFlag,
    /// What its environment's calls count to.
    pub(crate) counters: Arc<CallCounters>,
    runtime: OnceLock<RuntimeInfo>,
    runs: Mutex<RunCache>,
    retries: Mutex<RetryTracker>,
    start: Instant,
    /// Milliseconds from the start to the last request.
    last_request_ms: AtomicU64,
    /// Milliseconds from the start to the last entry into the guest.
    last_entry_ms: AtomicU64,
    /// Commands that are queued or running.
    active: AtomicUsize,
}

impl SharedState {
    pub(crate) fn new(
        identity: SessionIdentity,
        phase: Phase,
        result_ttl: Duration,
        counters: Arc<CallCounters>,
    ) -> SharedState {
        SharedState {
            identity,
            phase: watch::Sender::new(phase),
            delivery: DeliveryFlag::default(),
            counters,
            runtime: OnceLock::new(),
            runs: Mutex::new(RunCache::new(result_ttl)),
            retries: Mutex::default(),
            start: Instant::now(),
            last_request_ms: AtomicU64::new(0),
            last_entry_ms: AtomicU64::new(0),
            active: AtomicUsize::new(0),
        }
    }

    /// Returns what the session runs on, once that is known.
    pub(crate) fn runtime(&self) -> Option<&RuntimeInfo> {
        self.runtime.get()
    }

    /// Sets what the session runs on. It never changes, so a second call has no
    /// effect.
    pub(crate) fn set_runtime(&self, runtime: RuntimeInfo) {
        let _ = self.runtime.set(runtime);
    }

    /// Returns whether the guest may be dropped; `false` while that is unknown.
    pub(crate) fn can_hibernate(&self) -> bool {
        self.runtime().is_some_and(RuntimeInfo::can_hibernate)
    }

    /// Moves the session to a phase, unless it is being ended.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let is_open = !matches!(now, Phase::Deleted | Phase::Stopping);
            if is_open {
                *now = phase;
            }
            is_open
        });
    }

    /// Restarts the idle timeout.
    pub(crate) fn touch(&self) {
        self.last_request_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// Returns the time since the last request; none while a command is queued
    /// or running.
    pub(crate) fn idle_time(&self) -> Option<Duration> {
        self.since(&self.last_request_ms)
    }

    /// Returns the time since the last entry into the guest; none while a
    /// command is queued or running.
    pub(crate) fn guest_idle_time(&self) -> Option<Duration> {
        self.since(&self.last_entry_ms)
    }

    fn since(&self, then_ms: &AtomicU64) -> Option<Duration> {
        if self.is_busy() {
            return None;
        }
        let then = Duration::from_millis(then_ms.load(Ordering::Relaxed));
        Some(self.start.elapsed().saturating_sub(then))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.active.load(Ordering::Acquire) > 0
    }

    pub(crate) fn runs(&self) -> MutexGuard<'_, RunCache> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn retries(&self) -> MutexGuard<'_, RetryTracker> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a command of the session is queued or running.
pub(crate) struct ActivityGuard(Arc<SharedState>);

impl ActivityGuard {
    pub(crate) fn new(shared: &Arc<SharedState>) -> ActivityGuard {
        shared.active.fetch_add(1, Ordering::AcqRel);
        ActivityGuard(shared.clone())
    }
}

impl Drop for ActivityGuard {
    fn drop(&mut self) {
        self.0.touch();
        self.0
            .last_entry_ms
            .store(self.0.age_ms(), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}
