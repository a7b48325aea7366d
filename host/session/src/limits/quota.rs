//! Quotas per API key: its sessions, and its calls in flight.
//!
//! A request over the quota is refused before any work is done. Without API
//! keys clients cannot be told apart, and nothing is counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::principal::Principal;

/// The quotas of each API key; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyQuota {
    /// Sessions that are not torn down yet.
    pub sessions: Option<usize>,
    /// Calls and scorings that run or wait.
    pub calls: Option<usize>,
}

/// Counts one kind of resource per principal.
#[derive(Debug)]
pub(crate) struct QuotaCounter {
    limit: Option<usize>,
    counts: Mutex<HashMap<Principal, usize>>,
}

/// One unit of a quota, released on drop.
#[derive(Debug)]
pub(crate) struct QuotaPermit {
    counter: Arc<QuotaCounter>,
    owner: Principal,
}

/// The principal has reached its quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

impl QuotaCounter {
    /// Creates a counter with this limit per principal.
    pub(crate) fn new(limit: Option<usize>) -> Arc<QuotaCounter> {
        Arc::new(QuotaCounter {
            limit,
            counts: Mutex::default(),
        })
    }

    /// Takes one unit of this principal's quota; none where nothing is counted.
    pub(crate) fn try_acquire(
        self: &Arc<Self>,
        owner: &Principal,
    ) -> Result<Option<QuotaPermit>, QuotaExceeded> {
        let (Some(limit), Principal::Named(_)) = (self.limit, owner) else {
            return Ok(None);
        };
        let mut counts = self.counts();
        let count = counts.entry(owner.clone()).or_default();
        if *count >= limit {
            return Err(QuotaExceeded);
        }
        *count += 1;
        Ok(Some(QuotaPermit {
            counter: self.clone(),
            owner: owner.clone(),
        }))
    }

    /// Takes one unit even over the quota, for what was admitted before this
    /// limit was set or before this process started.
    pub(crate) fn acquire_over_limit(self: &Arc<Self>, owner: &Principal) -> Option<QuotaPermit> {
        let (Some(_), Principal::Named(_)) = (self.limit, owner) else {
            return None;
        };
        *self.counts().entry(owner.clone()).or_default() += 1;
        Some(QuotaPermit {
            counter: self.clone(),
            owner: owner.clone(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.counter.counts().entry(self.owner.clone()) {
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
    fn a_key_gets_its_quota_and_no_more() {
        let counter = QuotaCounter::new(Some(2));
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = counter.try_acquire(&alice).unwrap();
        let second = counter.try_acquire(&alice).unwrap();
        assert_eq!(counter.try_acquire(&alice).unwrap_err(), QuotaExceeded);
        let other = counter.try_acquire(&bob).unwrap();
        drop(first);
        let third = counter.try_acquire(&alice).unwrap();
        assert!(counter.try_acquire(&alice).is_err());
        let restored = counter.acquire_over_limit(&alice);
        drop(second);
        assert!(counter.try_acquire(&alice).is_err(), "two of them are left");
        drop((restored, third, other));
        assert!(counter.counts().is_empty());
    }

    #[test]
    fn nothing_is_counted_without_a_limit_or_a_key() {
        for (limit, owner) in [
            (None, Principal::Named("alice".into())),
            (Some(1), Principal::Anyone),
        ] {
            let counter = QuotaCounter::new(limit);
            let held: Vec<_> = (0..100)
                .map(|_| counter.try_acquire(&owner).unwrap())
                .collect();
            assert!(held.iter().all(Option::is_none));
        }
    }
}
