//! Limits how many sessions of one principal are resumed at the same time.
//!
//! Replaying a session can take hours and keeps a thread busy. The limit is per
//! principal, so that one with many sessions does not delay the others. The
//! engine shares its threads fairly by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::principal::Principal;

/// One semaphore per principal that resumes sessions.
#[derive(Debug)]
pub(crate) struct ResumeLimiter {
    per_principal: usize,
    semaphores: Mutex<HashMap<Principal, Arc<Semaphore>>>,
}

/// The permission to resume one session.
#[derive(Debug)]
pub(crate) struct ResumePermit<'a> {
    limiter: &'a ResumeLimiter,
    owner: Principal,
    permit: Option<OwnedSemaphorePermit>,
}

impl ResumeLimiter {
    /// Allows this many resumes at once for each principal, at least one.
    pub(crate) fn new(per_principal: usize) -> ResumeLimiter {
        ResumeLimiter {
            per_principal: per_principal.max(1),
            semaphores: Mutex::default(),
        }
    }

    /// Waits for a permit of this principal.
    pub(crate) async fn acquire(&self, owner: &Principal) -> ResumePermit<'_> {
        let semaphore = self
            .semaphores()
            .entry(owner.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_principal)))
            .clone();
        ResumePermit {
            limiter: self,
            owner: owner.clone(),
            // The semaphore is never closed.
            permit: semaphore.acquire_owned().await.ok(),
        }
    }

    fn semaphores(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Semaphore>>> {
        self.semaphores
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ResumePermit<'_> {
    fn drop(&mut self) {
        let mut semaphores = self.limiter.semaphores();
        self.permit = None;
        // Those that wait hold a reference, too.
        if semaphores
            .get(&self.owner)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            semaphores.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_principal_waits_for_its_own_permits_alone() {
        let limiter = ResumeLimiter::new(2);
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = limiter.acquire(&alice).await;
        let second = limiter.acquire(&alice).await;
        let wait = Duration::from_millis(50);
        assert!(
            tokio::time::timeout(wait, limiter.acquire(&alice))
                .await
                .is_err()
        );
        let other = limiter.acquire(&bob).await;
        drop(first);
        let third = limiter.acquire(&alice).await;
        drop((second, third, other));
        assert!(limiter.semaphores().is_empty());
    }
}
