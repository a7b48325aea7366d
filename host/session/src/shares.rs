//! How much of the server one key may take up: how many sessions it holds, and
//! how many calls it has in flight.
//!
//! Who takes more is refused before anything is done. Without keys there is
//! nobody to tell from anybody, and nothing is counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::service::Principal;

/// What one key may have at once of each; none is any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKey {
    /// Sessions that are not torn down yet.
    pub sessions: Option<usize>,
    /// Calls and scorings that run or wait.
    pub calls: Option<usize>,
}

/// The counts of one thing.
#[derive(Debug)]
pub(super) struct Shares {
    limit: Option<usize>,
    counts: Mutex<HashMap<Principal, usize>>,
}

/// Held for as long as it counts.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    owner: Principal,
}

/// This key has as many as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllTaken;

impl Shares {
    pub(super) fn new(limit: Option<usize>) -> Arc<Shares> {
        Arc::new(Shares {
            limit,
            counts: Mutex::default(),
        })
    }

    /// One more for this owner, if there may be; none where nothing is counted.
    pub(super) fn take(self: &Arc<Self>, owner: &Principal) -> Result<Option<Share>, AllTaken> {
        let (Some(limit), Principal::Named(_)) = (self.limit, owner) else {
            return Ok(None);
        };
        let mut counts = self.counts();
        let count = counts.entry(owner.clone()).or_default();
        if *count >= limit {
            return Err(AllTaken);
        }
        *count += 1;
        Ok(Some(Share {
            shares: self.clone(),
            owner: owner.clone(),
        }))
    }

    /// One more, though it may be one too many: it was there before the limit,
    /// or before this process was.
    pub(super) fn take_anyway(self: &Arc<Self>, owner: &Principal) -> Option<Share> {
        let (Some(_), Principal::Named(_)) = (self.limit, owner) else {
            return None;
        };
        *self.counts().entry(owner.clone()).or_default() += 1;
        Some(Share {
            shares: self.clone(),
            owner: owner.clone(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.shares.counts().entry(self.owner.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_its_share_and_no_more() {
        let shares = Shares::new(Some(2));
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = shares.take(&alice).unwrap();
        let second = shares.take(&alice).unwrap();
        assert_eq!(shares.take(&alice).unwrap_err(), AllTaken);
        let other = shares.take(&bob).unwrap();
        drop(first);
        let third = shares.take(&alice).unwrap();
        assert!(shares.take(&alice).is_err());
        let restored = shares.take_anyway(&alice);
        drop(second);
        assert!(shares.take(&alice).is_err(), "two of them are left");
        drop((restored, third, other));
        assert!(shares.counts().is_empty());
    }

    #[test]
    fn nothing_is_counted_without_a_limit_or_a_key() {
        for (limit, owner) in [
            (None, Principal::Named("alice".into())),
            (Some(1), Principal::Anyone),
        ] {
            let shares = Shares::new(limit);
            let held: Vec<_> = (0..100).map(|_| shares.take(&owner).unwrap()).collect();
            assert!(held.iter().all(Option::is_none));
        }
    }
}
