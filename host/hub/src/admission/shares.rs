//! Places for work that is costly, in turns by whose it is.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use orwd_limiter::{FairPermit, FairQueue};

use crate::http::error::ApiError;

/// The time to wait for a place.
const WAIT: Duration = Duration::from_secs(60);

/// Uploads at once: of all, of one owner, and those that wait.
const UPLOADS: (usize, usize, usize) = (64, 16, 1024);

/// Programs of git at once.
const GIT: (usize, usize, usize) = (32, 8, 512);

/// Bytes of the batches of rollout events at once. Their values take many times
/// as much.
const BATCHES: (usize, usize, usize) = (32 << 20, 16 << 20, 1024);

/// Checks of passwords at once, by address. A check takes memory and time.
const LOGINS: (usize, usize, usize) = (4, 1, 256);

/// Queries over many rows at once, by user or address.
const REPORTS: (usize, usize, usize) = (2, 1, 64);

/// The places.
pub(crate) struct Shares {
    pub(crate) uploads: Arc<FairQueue<String>>,
    pub(crate) git: Arc<FairQueue<Arc<str>>>,
    pub(crate) batches: Arc<FairQueue<Arc<str>>>,
    pub(crate) logins: Arc<FairQueue<IpAddr>>,
    pub(crate) reports: Arc<FairQueue<String>>,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares {
            uploads: queue(UPLOADS),
            git: queue(GIT),
            batches: queue(BATCHES),
            logins: queue(LOGINS),
            reports: queue(REPORTS),
        }
    }
}

fn queue<K: Eq + Hash + Clone>(
    (total, per_key, waiting): (usize, usize, usize),
) -> Arc<FairQueue<K>> {
    FairQueue::new(total, per_key, waiting)
}

/// Waits for this many places, for a while.
pub(crate) async fn place<K: Eq + Hash + Clone>(
    queue: &Arc<FairQueue<K>>,
    key: &K,
    amount: usize,
) -> Result<FairPermit<K>, ApiError> {
    let waited = tokio::time::timeout(WAIT, queue.acquire(key, amount)).await;
    match waited {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::busy(
            "too many requests of this kind wait; try again later",
        )),
    }
}
