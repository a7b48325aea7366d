//! Where a session stands, as everyone may see it.
//!
//! The owner moves it forward; a deletion may come at any time and is final.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::runs::Runs;
use super::service::{Principal, SessionError};
use super::shares::Shares;
use crate::catalog::Environment;
use crate::model::{Fault, SessionId, ToolSpec};

/// The stations of a session.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Its setup runs.
    Starting,
    /// It answers.
    Ready,
    /// Its setup failed, in the environment's own words.
    SetupFailed(String),
    /// Its guest is gone, and why.
    Faulted(Fault),
    /// It is forgotten; what is still running finishes.
    Deleted,
}

impl Phase {
    /// Whether a request may go on, must wait (`None`) or fails.
    pub(super) fn verdict(&self) -> Option<Result<(), SessionError>> {
        match self {
            Phase::Starting => None,
            Phase::Ready => Some(Ok(())),
            Phase::SetupFailed(message) => Some(Err(SessionError::SetupFailed(message.clone()))),
            Phase::Faulted(fault) => Some(Err(SessionError::Gone(fault.clone()))),
            Phase::Deleted => Some(Err(SessionError::Deleted)),
        }
    }
}

/// What the owner of a session and its handles share.
pub(super) struct Shared {
    pub(super) id: SessionId,
    pub(super) owner: Principal,
    /// What calls in flight are counted in.
    pub(super) calls: Arc<Shares>,
    pub(super) environment: Environment,
    /// What the task adds to the listing, as it was when the episode began;
    /// shown while setup runs and the guest cannot be asked.
    pub(super) first_task_tools: Vec<ToolSpec>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) runs: Mutex<Runs>,
    born: Instant,
    /// Milliseconds from birth to the last request.
    seen: AtomicU64,
    busy: AtomicUsize,
}

impl Shared {
    pub(super) fn new(
        id: SessionId,
        owner: Principal,
        calls: Arc<Shares>,
        environment: Environment,
        first_task_tools: Vec<ToolSpec>,
        linger: Duration,
    ) -> Shared {
        Shared {
            id,
            owner,
            calls,
            environment,
            first_task_tools,
            phase: watch::Sender::new(Phase::Starting),
            runs: Mutex::new(Runs::new(linger)),
            born: Instant::now(),
            seen: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
        }
    }

    /// Moves the session on, unless it was deleted.
    pub(super) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let open = !matches!(now, Phase::Deleted);
            if open {
                *now = phase;
            }
            open
        });
    }

    /// Restarts the idle clock.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen.store(now, Ordering::Relaxed);
    }

    /// How long nobody has asked for anything; none while something runs.
    pub(super) fn idle(&self) -> Option<Duration> {
        if self.busy.load(Ordering::Acquire) > 0 {
            return None;
        }
        let seen = Duration::from_millis(self.seen.load(Ordering::Relaxed));
        Some(self.born.elapsed().saturating_sub(seen))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    pub(super) fn runs(&self) -> std::sync::MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while something of a session's is queued or running.
pub(super) struct Busy(std::sync::Arc<Shared>);

impl Busy {
    pub(super) fn new(shared: &std::sync::Arc<Shared>) -> Busy {
        shared.busy.fetch_add(1, Ordering::AcqRel);
        Busy(shared.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}
