//! Which sessions are in memory, and how one makes room for another.
//!
//! The engine has places for so many instances. When all are taken, a session
//! that has had nothing to do for longest, and that the journal can bring
//! back, is put to sleep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc::WeakSender;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::owner::Command;
use super::state::Shared;
use crate::engine::Engine;
use crate::journal::EpisodeId;

/// How many sessions are asked to make room before one gives up: each may have
/// got something to do meanwhile.
const ATTEMPTS: usize = 8;

/// The sessions in memory that could sleep.
#[derive(Default)]
pub(super) struct Residents(Mutex<HashMap<EpisodeId, Resident>>);

struct Resident {
    shared: Weak<Shared>,
    commands: WeakSender<Command>,
}

impl Residents {
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
            if let Some(slot) = engine.slot() {
                return Some(slot);
            }
            let commands = self.longest_at_rest()?.upgrade()?;
            let (reply, asleep) = oneshot::channel();
            if commands.try_send(Command::Hibernate(reply)).is_ok() {
                // Whether it sleeps or has ended, there may be room now.
                let _ = asleep.await;
            }
        }
        engine.slot()
    }

    fn longest_at_rest(&self) -> Option<WeakSender<Command>> {
        let all = self.all();
        let resting = all.values().filter_map(|resident| {
            let shared = resident.shared.upgrade()?;
            let at_rest = shared.phase.borrow().is_at_rest();
            let rest = shared.rest().filter(|_| at_rest)?;
            Some((rest, &resident.commands))
        });
        let longest = resting.max_by_key(|(rest, _)| *rest);
        longest.map(|(_, commands)| commands.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EpisodeId, Resident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
