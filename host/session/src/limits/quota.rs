//! Quotas per API key: its sessions, and its calls in flight.
//!
//! A request over the quota is refused before any work is done. Without API
//! keys clients cannot be told apart, and nothing is counted.

use std::sync::Arc;

use orwd_limiter::{KeyedPermit, KeyedSemaphore};

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
pub(crate) struct QuotaCounter(Option<Arc<KeyedSemaphore<Principal>>>);

/// One unit of a quota, released on drop.
pub(crate) type QuotaPermit = KeyedPermit<Principal>;

/// The principal has reached its quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

impl QuotaCounter {
    /// Creates a counter with this limit per principal.
    pub(crate) fn new(limit: Option<usize>) -> QuotaCounter {
        QuotaCounter(limit.map(KeyedSemaphore::new))
    }

    /// Takes one unit of this principal's quota; none where nothing is counted.
    pub(crate) fn try_acquire(
        &self,
        owner: &Principal,
    ) -> Result<Option<QuotaPermit>, QuotaExceeded> {
        match self.counter(owner) {
            Some(counter) => {
                let permit = counter.try_acquire(owner.clone());
                permit.map(Some).ok_or(QuotaExceeded)
            }
            None => Ok(None),
        }
    }

    /// Takes one unit even over the quota, for what was admitted before this
    /// limit was set or before this process started.
    pub(crate) fn acquire_over_limit(&self, owner: &Principal) -> Option<QuotaPermit> {
        let counter = self.counter(owner)?;
        Some(counter.acquire_over_limit(owner.clone()))
    }

    fn counter(&self, owner: &Principal) -> Option<&Arc<KeyedSemaphore<Principal>>> {
        match owner {
            Principal::Anyone => None,
            Principal::Named(_) => self.0.as_ref(),
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
        assert!(counter.0.unwrap().is_unused());
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
