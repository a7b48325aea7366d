//! Admits the reading of histories, which may be hundreds of mebibytes.
//!
//! Inspections, receipts, forks and resumes read the journal of a session. They
//! share one amount of memory and wait for it, fairly by owner, so that neither
//! many requests nor one owner with long sessions take the memory or the disk.

use std::sync::Arc;
use std::time::Duration;

use orwd_limiter::{FairPermit, FairQueue};

use crate::api::principal::Principal;

/// How long a request waits for its turn.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The most that wait.
const MAX_WAITING: usize = 1024;

/// The part of the memory that reading a history takes.
const SCANS: usize = 4;

/// Admits readers of histories.
#[derive(Debug)]
pub(crate) struct HistoryReader {
    total: usize,
    max_wait: Duration,
    queue: Arc<FairQueue<Principal>>,
}

/// The permission to read a history. It is kept as long as what was read.
pub(crate) type HistoryPermit = FairPermit<Principal>;

/// A history is not read now: too many are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoriesBusy;

impl HistoryReader {
    /// Creates the reader of histories that take `total` bytes together, and
    /// half of it for one owner.
    pub(crate) fn new(total: usize) -> HistoryReader {
        HistoryReader {
            total,
            max_wait: MAX_WAIT,
            queue: FairQueue::new(total, total / 2, MAX_WAITING),
        }
    }

    /// Returns the bytes of what is being read.
    pub(crate) fn used(&self) -> usize {
        self.queue.held()
    }

    /// Waits for the permission to read a history record by record, or in pages.
    pub(crate) async fn scan(&self, owner: &Principal) -> Result<HistoryPermit, HistoriesBusy> {
        let amount = self.total / SCANS;
        let admitted = tokio::time::timeout(self.max_wait, self.queue.acquire(owner, amount)).await;
        match admitted {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(HistoriesBusy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a reader that waits for a moment only.
    fn reader(total: usize) -> HistoryReader {
        HistoryReader {
            max_wait: Duration::from_millis(20),
            ..HistoryReader::new(total)
        }
    }

    #[tokio::test]
    async fn an_owner_waits_for_its_own_readers_alone() {
        let reader = reader(400);
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = reader.scan(&alice).await.unwrap();
        let _second = reader.scan(&alice).await.unwrap();
        assert_eq!(reader.scan(&alice).await.unwrap_err(), HistoriesBusy);
        let _bobs = reader.scan(&bob).await.unwrap();
        assert_eq!(reader.queue.held(), 300);
        drop(first);
        let _third = reader.scan(&alice).await.unwrap();
    }

    #[tokio::test]
    async fn a_history_that_is_kept_holds_its_own_size() {
        let reader = reader(400);
        let mut permits = Vec::new();
        for _ in 0..21 {
            let mut permit = reader.scan(&Principal::Anyone).await.unwrap();
            permit.shrink_to(5);
            permits.push(permit);
        }
        assert_eq!(reader.queue.held(), 105);
        let busy = reader.scan(&Principal::Anyone).await;
        assert_eq!(busy.unwrap_err(), HistoriesBusy, "the half of an owner");
    }
}
