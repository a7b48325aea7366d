//! How many bytes of large records may be encoded and queued at once.
//!
//! A record counts from before it is encoded until it is committed, so a run
//! waits for its turn while its outcome is the guest's, and not a copy in the
//! queue. An owner waits for its own records first: it takes a quarter of the
//! whole at most. Small records need no permit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes above which a record needs a permit.
pub(super) const MIN_LARGE: usize = 128 << 10;

/// Bytes of a unit.
const UNIT: usize = 64 << 10;

/// Units of all owners: 64 MiB.
const TOTAL: usize = 1024;

/// Units of one owner: 16 MiB.
const PER_OWNER: usize = TOTAL / 4;

/// The owners' shares.
type Owners = HashMap<Option<String>, Arc<Semaphore>>;

/// The bytes of large records. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct WriteBudget {
    total: Arc<Semaphore>,
    owners: Arc<Mutex<Owners>>,
}

/// A permit for one record.
#[derive(Debug)]
pub(super) struct BudgetPermit {
    _total: Option<OwnedSemaphorePermit>,
    _owner: Option<OwnedSemaphorePermit>,
}

impl WriteBudget {
    pub(crate) fn new() -> WriteBudget {
        WriteBudget {
            total: Arc::new(Semaphore::new(TOTAL)),
            owners: Arc::default(),
        }
    }

    /// Waits until a record of this owner may be encoded. A record that is larger
    /// than the owner's share takes all of it.
    pub(super) async fn acquire(&self, owner: Option<&str>, bytes: usize) -> BudgetPermit {
        if bytes <= MIN_LARGE {
            return BudgetPermit {
                _total: None,
                _owner: None,
            };
        }
        let units = bytes.div_ceil(UNIT).min(PER_OWNER);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let share = self.share(owner);
        // Neither semaphore is ever closed.
        BudgetPermit {
            _owner: share.acquire_many_owned(units).await.ok(),
            _total: Arc::clone(&self.total).acquire_many_owned(units).await.ok(),
        }
    }

    /// Returns the share of an owner, and forgets those that nobody uses.
    fn share(&self, owner: Option<&str>) -> Arc<Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, share| {
            Arc::strong_count(share) > 1 || share.available_permits() < PER_OWNER
        });
        let share = owners.entry(owner.map(str::to_owned));
        Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(PER_OWNER))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_millis(10), future)
            .await
            .ok()
    }

    #[tokio::test]
    async fn an_owner_waits_for_its_own_records_only() {
        let budget = WriteBudget::new();
        let huge = usize::MAX / 2;
        let first = budget.acquire(Some("mallory"), huge).await;
        let second = is_ready(budget.acquire(Some("mallory"), 1 << 20)).await;
        assert!(second.is_none(), "it has its share");
        assert!(
            is_ready(budget.acquire(Some("mallory"), 100))
                .await
                .is_some()
        );
        let other = is_ready(budget.acquire(Some("alice"), 8 << 20)).await;
        assert!(other.is_some());
        drop(first);
        assert!(
            is_ready(budget.acquire(Some("mallory"), 1 << 20))
                .await
                .is_some()
        );
        drop(other);
        budget.share(None);
        assert_eq!(
            budget.owners.lock().unwrap().len(),
            1,
            "unused shares are gone"
        );
    }
}
