//! Chooses the sessions whose guests leave memory for others.
//!
//! The engine has a fixed number of session permits. When all are taken, an idle
//! session that can be rebuilt from the journal is hibernated. The candidate is
//! the longest-idle session of the principal with the most resident sessions,
//! so that a client with many sessions evicts its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use orwd_engine::{Engine, SessionPermit};
use orwd_journal::EpisodeId;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use crate::actor::command::Command;
use crate::actor::state::SharedState;
use crate::api::principal::Principal;

/// How many sessions one request for a permit tries to evict. Each may have got
/// work in the meantime.
const MAX_ATTEMPTS: usize = 8;

/// How long a session that is to make room is waited for. It may have got a call
/// that itself waits for room.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The sessions in memory that can be hibernated.
pub(crate) struct ResidentSet {
    /// Whether sessions are evicted at all.
    enabled: bool,
    residents: Mutex<HashMap<EpisodeId, Resident>>,
    /// The sessions that have hibernated for others.
    evicted: Counter,
}

struct Resident {
    shared: Weak<SharedState>,
    commands: WeakSender<Command>,
}

impl Resident {
    /// Returns how long its guest has been idle; none if it is not.
    fn idle_time(&self) -> Option<Duration> {
        let shared = self.shared.upgrade()?;
        let is_idle = shared.phase.borrow().is_idle();
        shared.guest_idle_time().filter(|_| is_idle)
    }
}

impl ResidentSet {
    /// Creates an empty set. Unless enabled, sessions stay in memory while they
    /// are open.
    pub(crate) fn new(enabled: bool, evicted: Counter) -> ResidentSet {
        ResidentSet {
            enabled,
            residents: Mutex::default(),
            evicted,
        }
    }

    /// Adds a session that can be hibernated.
    pub(crate) fn insert(&self, shared: &Arc<SharedState>, commands: &WeakSender<Command>) {
        self.residents().insert(
            shared.identity.episode,
            Resident {
                shared: Arc::downgrade(shared),
                commands: commands.clone(),
            },
        );
    }

    /// Removes a session that has hibernated or ended.
    pub(crate) fn remove(&self, episode: EpisodeId) {
        self.residents().remove(&episode);
    }

    /// Returns a permit for a session of this owner, after an eviction if
    /// necessary. None if all sessions in memory are busy or cannot be
    /// hibernated.
    pub(crate) async fn acquire_permit(
        &self,
        engine: &Engine,
        owner: &Principal,
    ) -> Option<SessionPermit> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(permit) = engine.session_permit(owner.cpu_owner()) {
                return Some(permit);
            }
            let commands = self.eviction_candidate()?.upgrade()?;
            let (reply, hibernated) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_ok() {
                // If it has ended instead, its permit may be free, too.
                self.count(hibernated.await);
            }
        }
        engine.session_permit(owner.cpu_owner())
    }

    /// Returns how many sessions can be hibernated.
    pub(crate) fn len(&self) -> usize {
        self.residents().len()
    }

    /// Evicts up to `count` idle sessions; returns how many were told to
    /// hibernate.
    pub(crate) async fn evict(&self, count: usize) -> usize {
        for evicted in 0..count {
            let candidate = self.eviction_candidate();
            let Some(commands) = candidate.and_then(|commands| commands.upgrade()) else {
                return evicted;
            };
            let (reply, hibernated) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_err() {
                return evicted;
            }
            self.count(hibernated.await);
        }
        count
    }

    /// Evicts the longest-idle of these sessions; returns whether one has hibernated.
    pub(crate) async fn evict_one_of(&self, episodes: &HashSet<EpisodeId>) -> bool {
        for _ in 0..MAX_ATTEMPTS {
            let candidate = self.longest_idle_of(episodes);
            let Some(commands) = candidate.and_then(|commands| commands.upgrade()) else {
                return false;
            };
            let (reply, hibernated) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_ok()
                && let Ok(hibernated) = tokio::time::timeout(MAX_WAIT, hibernated).await
            {
                self.count(hibernated.clone());
                if hibernated == Ok(true) {
                    return true;
                }
            }
        }
        false
    }

    fn longest_idle_of(&self, episodes: &HashSet<EpisodeId>) -> Option<WeakSender<Command>> {
        if !self.enabled {
            return None;
        }
        let residents = self.residents();
        let idle = episodes.iter().filter_map(|episode| {
            let resident = residents.get(episode)?;
            Some((resident.idle_time()?, &resident.commands))
        });
        let longest = idle.max_by_key(|(idle_time, _)| *idle_time);
        longest.map(|(_, commands)| commands.clone())
    }

    /// Counts a session that has hibernated, unless it had other work or has ended.
    fn count(&self, hibernated: Result<bool, RecvError>) {
        if hibernated == Ok(true) {
            self.evicted.inc();
        }
    }

    fn eviction_candidate(&self) -> Option<WeakSender<Command>> {
        if !self.enabled {
            return None;
        }
        let residents = self.residents();
        let alive: Vec<(Arc<SharedState>, &Resident)> = residents
            .values()
            .filter_map(|resident| Some((resident.shared.upgrade()?, resident)))
            .collect();
        let mut per_owner: HashMap<&Principal, usize> = HashMap::new();
        for (shared, _) in &alive {
            *per_owner.entry(&shared.identity.owner).or_default() += 1;
        }
        let idle = alive.iter().filter_map(|(shared, resident)| {
            let is_idle = shared.phase.borrow().is_idle();
            let idle_time = shared.guest_idle_time().filter(|_| is_idle)?;
            let residents = per_owner.get(&shared.identity.owner)?;
            Some(((residents, idle_time), &resident.commands))
        });
        let candidate = idle.max_by_key(|(rank, _)| *rank);
        candidate.map(|(_, commands)| commands.clone())
    }

    fn residents(&self) -> MutexGuard<'_, HashMap<EpisodeId, Resident>> {
        self.residents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
