//! Which repositories programs of git use for clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Locks above which those that nobody has are forgotten.
const KEPT: usize = 256;

/// A lock for each repository: clients share it, and what removes objects has it
/// alone.
#[derive(Default)]
pub(crate) struct RepositoryLocks(Mutex<HashMap<String, Arc<RwLock<()>>>>);

impl RepositoryLocks {
    /// Waits until nothing removes objects, and keeps it so.
    pub(crate) async fn shared(&self, environment: &str) -> OwnedRwLockReadGuard<()> {
        self.of(environment).read_owned().await
    }

    /// Returns the lock if no client uses the repository. New ones then wait.
    pub(crate) fn try_alone(&self, environment: &str) -> Option<OwnedRwLockWriteGuard<()>> {
        self.of(environment).try_write_owned().ok()
    }

    fn of(&self, environment: &str) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.len() >= KEPT {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry(environment.to_owned()).or_default().clone()
    }
}
