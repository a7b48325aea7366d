//! Which sessions are in memory, and how one makes room for another.
//!
//! The engine has places for so many instances. When all are taken, a session
//! that has nothing to do, and that the journal can bring back, is put to sleep:
//! one of whoever has most of them in memory, and of those the one that has
//! rested for longest. So whoever opens many sessions pushes out his own, and
//! nobody else has to wait for theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc::WeakSender;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::owner::Command;
use super::service::Principal;
use super::state::Shared;
use orwd_engine::Engine;
use orwd_journal::EpisodeId;

/// How many sessions are asked to make room before one gives up: each may have
/// got something to do meanwhile.
const ATTEMPTS: usize = 8;

/// The sessions in memory that could sleep.
pub(super) struct Residents {
    make_room: bool,
    all: Mutex<HashMap<EpisodeId, Resident>>,
}

struct Resident {
    shared: Weak<Shared>,
    commands: WeakSender<Command>,
}

impl Residents {
    /// None yet. They make room for others, or stay for as long as they are
    /// open.
    pub(super) fn new(make_room: bool) -> Residents {
        Residents {
            make_room,
            all: Mutex::default(),
        }
    }

    /// Notes a session that could sleep.
    pub(super) fn enter(&self, shared: &Arc<Shared>, commands: &WeakSender<Command>) {
        self.all().insert(
            shared.identity.episode,
            Resident {
                shared: Arc::downgrade(shared),
                commands: commands.clone(),
            },
        );
    }

    /// It sleeps, or is gone.
    pub(super) fn leave(&self, episode: EpisodeId) {
        self.all().remove(&episode);
    }

    /// A place for an instance; none if all are taken by sessions that have
    /// something to do or cannot sleep.
    pub(super) async fn slot(&self, engine: &Engine) -> Option<OwnedSemaphorePermit> {
        for _ in 0..ATTEMPTS {
            if let Some(slot) = engine.session_permit() {
                return Some(slot);
            }
            let commands = self.dispensable()?.upgrade()?;
            let (reply, asleep) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_ok() {
                // Whether it sleeps or has ended, there may be room now.
                let _ = asleep.await;
            }
        }
        engine.session_permit()
    }

    /// How many could sleep.
    pub(super) fn held(&self) -> usize {
        self.all().len()
    }

    /// Puts so many to sleep, as far as there are any with nothing to do; says
    /// how many were asked.
    pub(super) async fn shrink(&self, count: usize) -> usize {
        for asked in 0..count {
            let Some(commands) = self.dispensable().and_then(|weak| weak.upgrade()) else {
                return asked;
            };
            let (reply, asleep) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_err() {
                return asked;
            }
            let _ = asleep.await;
        }
        count
    }

    fn dispensable(&self) -> Option<WeakSender<Command>> {
        if !self.make_room {
            return None;
        }
        let all = self.all();
        let alive: Vec<(Arc<Shared>, &Resident)> = all
            .values()
            .filter_map(|resident| Some((resident.shared.upgrade()?, resident)))
            .collect();
        let mut held: HashMap<&Principal, usize> = HashMap::new();
        for (shared, _) in &alive {
            *held.entry(&shared.identity.owner).or_default() += 1;
        }
        let resting = alive.iter().filter_map(|(shared, resident)| {
            let at_rest = shared.phase.borrow().is_at_rest();
            let rest = shared.rest().filter(|_| at_rest)?;
            let others = held.get(&shared.identity.owner)?;
            Some(((others, rest), &resident.commands))
        });
        let first = resting.max_by_key(|(rank, _)| *rank);
        first.map(|(_, commands)| commands.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EpisodeId, Resident>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
