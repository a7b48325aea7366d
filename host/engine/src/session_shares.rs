//! How many sessions each owner has in memory.
//!
//! An owner may take most of the places, but as they become few, some are left for
//! others: an owner may hold at most a multiple of what is free. So the first one
//! gets four fifths of all places, a second one four fifths of the rest, and nobody
//! finds them all taken by one other. Sessions of a server without keys have no
//! owner to compare with, and share all places.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::schedule::account::Owner;

/// How many places an owner may hold for each one that is free.
const PER_FREE_PLACE: usize = 4;

/// Returns whether an owner that holds this many places may take another one of
/// those that are free.
pub fn leaves_a_share(held: usize, free: usize) -> bool {
    held < free.saturating_mul(PER_FREE_PLACE)
}

/// The sessions in memory of each owner with a key.
#[derive(Debug, Default)]
pub(crate) struct SessionShares(Mutex<HashMap<Owner, usize>>);

/// One place of an owner; released on drop.
#[derive(Debug)]
pub(crate) struct SessionShare {
    shares: Arc<SessionShares>,
    owner: Owner,
}

impl SessionShares {
    /// Takes a place for this owner, of this many that are free.
    pub(crate) fn take(self: &Arc<Self>, owner: Owner, free: usize) -> Option<SessionShare> {
        if is_counted(&owner) {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let of_owner = held.get(&owner).copied().unwrap_or_default();
            if !leaves_a_share(of_owner, free) {
                return None;
            }
            held.insert(owner.clone(), of_owner + 1);
        }
        Some(SessionShare {
            shares: self.clone(),
            owner,
        })
    }
}

impl SessionShare {
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }
}

impl Drop for SessionShare {
    fn drop(&mut self) {
        if !is_counted(&self.owner) {
            return;
        }
        let mut held = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = held.entry(self.owner.clone()) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

fn is_counted(owner: &Owner) -> bool {
    matches!(owner, Owner::Client(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes places until none is left for this owner; returns how many.
    fn fill(
        shares: &Arc<SessionShares>,
        name: Option<&str>,
        free: &mut usize,
        held: &mut Vec<SessionShare>,
    ) -> usize {
        let before = held.len();
        while *free > 0 {
            let owner = Owner::Client(name.map(Into::into));
            let Some(share) = shares.take(owner, *free) else {
                break;
            };
            held.push(share);
            *free -= 1;
        }
        held.len() - before
    }

    #[test]
    fn places_are_left_for_other_owners() {
        for (places, first, second) in [(100, 80, 16), (10, 8, 2), (4, 4, 0), (1, 1, 0)] {
            let shares = Arc::new(SessionShares::default());
            let (mut free, mut held) = (places, Vec::new());
            assert_eq!(fill(&shares, Some("mallory"), &mut free, &mut held), first);
            assert_eq!(fill(&shares, Some("alice"), &mut free, &mut held), second);
            drop(held);
            assert!(shares.0.lock().unwrap().is_empty(), "{places}");
        }
    }

    #[test]
    fn without_keys_all_places_can_be_taken() {
        let shares = Arc::new(SessionShares::default());
        let (mut free, mut held) = (10, Vec::new());
        assert_eq!(fill(&shares, None, &mut free, &mut held), 10);
    }
}
