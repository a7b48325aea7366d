//! Whose turn it is to ask for a session permit.
//!
//! Each owner has a queue for one: a semaphore serves those that wait in order of
//! arrival, and nothing is polled while they wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::api::principal::Principal;

/// The turns of each owner's sessions that wait for a permit, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct PermitTurns(Mutex<HashMap<Principal, Weak<Semaphore>>>);

impl PermitTurns {
    /// Returns the queue of this owner's sessions. The holder of its permit may ask.
    pub(crate) fn of(&self, owner: &Principal) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(owner).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(1));
        turns.insert(owner.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_owner_share_a_turn_while_any_waits() {
        let turns = PermitTurns::default();
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::of(Some(name)));
        let first = turns.of(&alice);
        assert!(Arc::ptr_eq(&first, &turns.of(&alice)));
        assert!(!Arc::ptr_eq(&first, &turns.of(&bob)));
        drop(first);
        drop(turns.of(&bob));
        assert_eq!(turns.0.lock().unwrap().len(), 1, "the others are forgotten");
    }
}
