//! Where a session stands, as everyone may see it.
//!
//! The owner moves it forward; a deletion may come at any time and is final.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::resend::Resends;
use super::runs::Runs;
use super::service::{Principal, Resumable, SessionError, Told};
use orwd_catalog::Environment;
use orwd_journal::{EpisodeId, Hash};
use orwd_model::{Digest, EnvName, Fault, Seed, SessionId, Timestamp, ToolSpec};

/// The stations of a session.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Its setup runs.
    Starting,
    /// It answers.
    Ready,
    /// It is in the journal alone, until somebody asks for it.
    Asleep,
    /// It is being rebuilt from the journal.
    Waking,
    /// Its setup failed, in the environment's own words.
    SetupFailed(String),
    /// Its guest is gone, and why.
    Faulted(Fault),
    /// It cannot be rebuilt, and why.
    Lost(String),
    /// It is forgotten; what is still running finishes.
    Deleted,
    /// The host stops; the session goes on when it is back.
    Stopping,
}

impl Phase {
    /// Whether a request may go on, must wait (`None`) or fails.
    pub(super) fn verdict(&self) -> Option<Result<(), SessionError>> {
        match self {
            Phase::Starting | Phase::Asleep | Phase::Waking => None,
            Phase::Ready => Some(Ok(())),
            Phase::SetupFailed(message) => Some(Err(SessionError::SetupFailed(message.clone()))),
            Phase::Faulted(fault) => Some(Err(SessionError::Gone(fault.clone()))),
            Phase::Lost(why) => Some(Err(SessionError::Lost(why.clone()))),
            Phase::Deleted => Some(Err(SessionError::Deleted)),
            Phase::Stopping => Some(Err(SessionError::Starting)),
        }
    }

    /// Whether nothing is under way, so that the guest may leave the memory.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self, Phase::Ready | Phase::SetupFailed(_))
    }

    /// The word for people and programs.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Asleep => "asleep",
            Phase::Waking => "waking",
            Phase::SetupFailed(_) => "setup_failed",
            Phase::Faulted(_) => "faulted",
            Phase::Lost(_) => "lost",
            Phase::Deleted => "deleted",
            Phase::Stopping => "stopping",
        }
    }
}

/// What never changes about a session.
pub(super) struct Identity {
    pub(super) owner: Principal,
    pub(super) id: SessionId,
    pub(super) episode: EpisodeId,
    pub(super) environment: EnvName,
    pub(super) component: Digest,
    pub(super) created: Timestamp,
    /// What only the process that created it knows without a look into the
    /// journal.
    pub(super) birthmark: Option<Birthmark>,
}

/// What there is to tell of a session when it is created again.
#[derive(Clone, Copy)]
pub(super) struct Birthmark {
    /// What the request that created it is known by.
    pub(super) imprint: Hash,
    pub(super) seed: Seed,
    pub(super) resumable: Resumable,
}

/// What a session runs on, known once it has been in memory.
pub(super) struct Ground {
    pub(super) environment: Environment,
    /// What the task adds to the listing, as it was when the episode began;
    /// shown while setup runs and the guest cannot be asked.
    pub(super) first_task_tools: Vec<ToolSpec>,
    pub(super) resumable: Resumable,
    /// Whether what the session wrote is to be seen by others in the end.
    pub(super) publishes: bool,
    /// Levels of JSON that its guest is handed at most.
    pub(super) json_depth: usize,
}

impl Ground {
    /// Whether the guest may be dropped, since the journal can bring it back.
    pub(super) fn can_sleep(&self) -> bool {
        self.resumable == Resumable::Yes
    }
}

/// What the owner of a session and its handles share.
pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) phase: watch::Sender<Phase>,
    /// Whether the client knows that it was created.
    pub(super) told: Told,
    ground: OnceLock<Ground>,
    runs: Mutex<Runs>,
    resends: Mutex<Resends>,
    born: Instant,
    /// Milliseconds from birth to the last request.
    seen: AtomicU64,
    /// The same to the last entry into the guest.
    worked: AtomicU64,
    busy: AtomicUsize,
}

impl Shared {
    pub(super) fn new(identity: Identity, phase: Phase, linger: Duration) -> Shared {
        Shared {
            identity,
            phase: watch::Sender::new(phase),
            told: Told::default(),
            ground: OnceLock::new(),
            runs: Mutex::new(Runs::new(linger)),
            resends: Mutex::default(),
            born: Instant::now(),
            seen: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
        }
    }

    /// What it runs on, once that is known.
    pub(super) fn ground(&self) -> Option<&Ground> {
        self.ground.get()
    }

    /// Makes known what it runs on, which is always the same.
    pub(super) fn stand_on(&self, ground: Ground) {
        let _ = self.ground.set(ground);
    }

    /// Moves the session on, unless it ends.
    pub(super) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let open = !matches!(now, Phase::Deleted | Phase::Stopping);
            if open {
                *now = phase;
            }
            open
        });
    }

    /// Restarts the idle clock.
    pub(super) fn touch(&self) {
        self.seen.store(self.age(), Ordering::Relaxed);
    }

    /// How long nobody has asked for anything; none while something runs.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.since(&self.seen)
    }

    /// How long the guest has had nothing to do; none while something runs.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.since(&self.worked)
    }

    fn since(&self, then: &AtomicU64) -> Option<Duration> {
        if self.is_busy() {
            return None;
        }
        let then = Duration::from_millis(then.load(Ordering::Relaxed));
        Some(self.born.elapsed().saturating_sub(then))
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    pub(super) fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn resends(&self) -> MutexGuard<'_, Resends> {
        self.resends.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.0.worked.store(self.0.age(), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}
