//! How many sessions of one owner are rebuilt at once.
//!
//! A session may have a past that takes hours to do again. Its owner's other
//! sessions wait for it; those of anybody else must not, and so everyone has
//! turns of their own. The engine's threads are shared fairly by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::service::Principal;

/// The turns of everybody.
#[derive(Debug)]
pub(super) struct Turns {
    each: usize,
    owners: Mutex<HashMap<Principal, Arc<Semaphore>>>,
}

/// Held for as long as it lasts.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    owner: Principal,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once for each owner.
    pub(super) fn new(each: usize) -> Turns {
        Turns {
            each: each.max(1),
            owners: Mutex::default(),
        }
    }

    /// Waits for one of the owner's turns.
    pub(super) async fn turn(&self, owner: &Principal) -> Turn<'_> {
        let own = self
            .owners()
            .entry(owner.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)))
            .clone();
        Turn {
            turns: self,
            owner: owner.clone(),
            // Nobody closes it.
            permit: own.acquire_owned().await.ok(),
        }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Semaphore>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut owners = self.turns.owners();
        self.permit = None;
        // Whoever waits for one has a reference too.
        if owners
            .get(&self.owner)
            .is_some_and(|own| Arc::strong_count(own) == 1)
        {
            owners.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn an_owner_waits_for_its_own_turns_alone() {
        let turns = Turns::new(2);
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = turns.turn(&alice).await;
        let second = turns.turn(&alice).await;
        let wait = Duration::from_millis(50);
        assert!(
            tokio::time::timeout(wait, turns.turn(&alice))
                .await
                .is_err()
        );
        let other = turns.turn(&bob).await;
        drop(first);
        let third = turns.turn(&alice).await;
        drop((second, third, other));
        assert!(turns.owners().is_empty());
    }
}
