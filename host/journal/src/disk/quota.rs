//! Disk quotas by owner, and a reserve of free space.
//!
//! Nothing that was acknowledged is refused: outcomes of requests that began and
//! ends of sessions are always written. So a request is admitted before it
//! begins, and reserves what its outcome may take.
//!
//! An owner at its quota loses its own ended episodes, the oldest first, and is
//! refused if that is not enough. When the free space reaches the reserve, the
//! same holds for each owner that takes the average or more; the others may use
//! half of the reserve.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_model::DiskBudget;
use tokio::sync::Notify;

use super::limits::{DiskLimits, DiskRefusal, STORED_LIMITS};
use crate::error::JournalError;
use crate::journal::Journal;
use crate::store::{DiskSpace, UsageLedger};

/// Bytes up to which an owner never counts as one that takes much.
const SMALL: u64 = 1 << 20;

/// How long a measurement of the free space is used.
const SPACE_AGE: Duration = Duration::from_millis(200);

/// The longest wait between two attempts to reserve space.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Admits sessions and requests. Clones share it.
#[derive(Clone, Debug)]
pub struct DiskQuota(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    journal: Journal,
    limits: DiskLimits,
    state: Mutex<QuotaState>,
    /// Temporary files of sessions.
    temporary: UsageLedger,
    released: Notify,
}

#[derive(Debug, Default)]
struct QuotaState {
    /// Bytes that admitted requests may still write, by owner.
    reserved: HashMap<Option<String>, u64>,
    total_reserved: u64,
    measured: Option<Measurement>,
    /// When a request began to measure the space, if one does. It may have been
    /// dropped meanwhile.
    measuring: Option<Instant>,
    /// The owners whose ended episodes are being removed.
    evictions: HashMap<Option<String>, Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Clone, Copy, Debug)]
struct Measurement {
    space: DiskSpace,
    at: Instant,
    /// Bytes of all owners then.
    total: u64,
}

/// Bytes that a request may write; released on drop.
#[derive(Debug)]
pub struct DiskPermit {
    quota: Option<Arc<Inner>>,
    owner: Option<String>,
    bytes: u64,
}

/// How exactly the bytes of a request are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// They are a limit, which few requests reach.
    UpTo,
    /// They are written.
    Exactly,
}

/// The result of an attempt.
enum Attempt {
    Granted,
    Refused(DiskRefusal),
    /// Others of the owner must finish first.
    Wait,
}

impl DiskQuota {
    /// Creates the quotas of a journal.
    pub fn new(journal: Journal, limits: DiskLimits) -> DiskQuota {
        DiskQuota(Arc::new(Inner {
            journal,
            limits,
            state: Mutex::default(),
            temporary: UsageLedger::default(),
            released: Notify::new(),
        }))
    }

    /// Notes the limits in the journal, for imports beside the server and later.
    pub async fn note_limits(&self) -> Result<(), JournalError> {
        if self.0.journal.usage().is_none() {
            return Ok(());
        }
        let limits = self.0.limits.to_text().into_bytes();
        self.0.journal.set_value(STORED_LIMITS, limits).await
    }

    /// Returns what temporary files of the owner's sessions are charged to; `None`
    /// if no journal is kept.
    pub fn temporary_files(&self, owner: Option<&str>) -> Option<Arc<dyn DiskBudget>> {
        self.0.journal.usage()?;
        Some(Arc::new(TemporaryFiles {
            quota: self.0.clone(),
            owner: owner.map(str::to_owned),
        }))
    }

    /// Fails if a request of this owner that begins now would be refused. Removes
    /// ended episodes of the owner if that helps.
    pub async fn check(&self, owner: Option<&str>) -> Result<(), DiskRefusal> {
        self.admit(owner, 0).await.map(drop)
    }

    /// Admits a request of this owner that writes up to this many bytes. Waits
    /// while the other requests of the owner may need the space; a single one is
    /// always admitted below the quota.
    pub async fn admit(&self, owner: Option<&str>, bytes: u64) -> Result<DiskPermit, DiskRefusal> {
        self.admit_need(owner, bytes, Need::UpTo).await
    }

    /// Admits a request of this owner that writes this many bytes, if that exceeds
    /// neither the quota nor the space.
    pub async fn admit_exactly(
        &self,
        owner: Option<&str>,
        bytes: u64,
    ) -> Result<DiskPermit, DiskRefusal> {
        self.admit_need(owner, bytes, Need::Exactly).await
    }

    async fn admit_need(
        &self,
        owner: Option<&str>,
        bytes: u64,
        need: Need,
    ) -> Result<DiskPermit, DiskRefusal> {
        if self.0.journal.usage().is_none() {
            return Ok(DiskPermit {
                quota: None,
                owner: None,
                bytes: 0,
            });
        }
        loop {
            let mut released = pin!(self.0.released.notified());
            released.as_mut().enable();
            let space = self.0.space().await;
            match self.0.attempt(owner, bytes, need, &space) {
                Attempt::Granted => {
                    return Ok(DiskPermit {
                        quota: Some(self.0.clone()),
                        owner: owner.map(str::to_owned),
                        bytes,
                    });
                }
                Attempt::Refused(refusal) => {
                    if !refusal.is_owners_fault() || !self.0.evict(owner, bytes).await {
                        return Err(refusal);
                    }
                }
                Attempt::Wait => {
                    // Only a wake-up: the attempt decides.
                    let _ = tokio::time::timeout(MAX_WAIT, released).await;
                }
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the bytes of an owner: in the journal, and in temporary files.
    fn used(&self, owner: Option<&str>) -> u64 {
        let journaled = self.journal.usage().map_or(0, |usage| usage.of(owner));
        journaled.saturating_add(self.temporary.of(owner))
    }

    /// Returns the free space: as measured a moment ago, or by another request
    /// that measures it now, less what was written since.
    async fn space(&self) -> DiskSpace {
        {
            let mut state = self.state();
            if let Some(known) = state.measured {
                let total = self.journal.usage().map_or(0, UsageLedger::total);
                let written = total.saturating_sub(known.total);
                let much = written > known.space.available / 16;
                let is_measured = state
                    .measuring
                    .is_some_and(|begun| begun.elapsed() < SPACE_AGE);
                if is_measured || (known.at.elapsed() < SPACE_AGE && !much) {
                    return DiskSpace {
                        available: known.space.available.saturating_sub(written),
                        ..known.space
                    };
                }
            }
            state.measuring = Some(Instant::now());
        }
        self.measure().await
    }

    /// Measures the free space.
    async fn measure(&self) -> DiskSpace {
        let total = self.journal.usage().map_or(0, UsageLedger::total);
        let space = match self.journal.space().await {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, "free disk space not measured");
                let known = self.state().measured;
                known.map_or(DiskSpace::UNLIMITED, |known| known.space)
            }
        };
        let mut state = self.state();
        state.measuring = None;
        state.measured = Some(Measurement {
            space,
            at: Instant::now(),
            total,
        });
        drop(state);
        space
    }

    fn attempt(&self, owner: Option<&str>, bytes: u64, need: Need, space: &DiskSpace) -> Attempt {
        let Some(usage) = self.journal.usage() else {
            return Attempt::Granted;
        };
        let used = self.used(owner);
        let quota = self.limits.quota(owner, space);
        let exact = if need == Need::Exactly { bytes } else { 0 };
        if used >= quota || used.saturating_add(exact) > quota {
            return Attempt::Refused(DiskRefusal::Quota { used, quota });
        }
        let reserve = self.limits.reserve(space);
        if space.available.saturating_sub(exact) < reserve {
            let average = usage.total() / u64::try_from(usage.owners().max(1)).unwrap_or(1);
            if used >= average.max(SMALL) {
                return Attempt::Refused(DiskRefusal::Share { used });
            }
            if space.available.saturating_sub(exact) < reserve / 2 {
                return Attempt::Refused(DiskRefusal::NoSpace);
            }
        }
        if bytes == 0 {
            return Attempt::Granted;
        }
        let mut state = self.state();
        let key = owner.map(str::to_owned);
        let reserved = state.reserved.get(&key).copied().unwrap_or_default();
        let free = space.available.saturating_sub(reserve / 2);
        // What one owner has reserved never keeps another from its share.
        let owners = state.reserved.len() + usize::from(reserved == 0);
        let share = free / u64::try_from(owners.max(1)).unwrap_or(u64::MAX);
        let fits = used.saturating_add(reserved).saturating_add(bytes) <= quota
            && (state.total_reserved.saturating_add(bytes) <= free
                || reserved.saturating_add(bytes) <= share);
        if reserved > 0 && !fits {
            return Attempt::Wait;
        }
        *state.reserved.entry(key).or_default() += bytes;
        state.total_reserved = state.total_reserved.saturating_add(bytes);
        Attempt::Granted
    }

    /// Removes ended episodes of an owner, the oldest first, until its quota and
    /// the reserve are kept with some margin. Returns whether that made space.
    async fn evict(&self, owner: Option<&str>, bytes: u64) -> bool {
        let key = owner.map(str::to_owned);
        let lock = Arc::clone(self.state().evictions.entry(key.clone()).or_default());
        let removed = {
            let _evicting = lock.lock().await;
            self.evict_alone(owner, bytes).await
        };
        drop(lock);
        let mut state = self.state();
        if state
            .evictions
            .get(&key)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            state.evictions.remove(&key);
        }
        drop(state);
        match removed {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(%error, "ended sessions not removed for the disk quota");
                false
            }
        }
    }

    async fn evict_alone(&self, owner: Option<&str>, bytes: u64) -> Result<bool, JournalError> {
        let mut removed = 0;
        let enough = loop {
            let space = self.measure().await;
            let quota = self.limits.quota(owner, &space);
            let below_quota = self.used(owner).saturating_add(bytes) <= quota - quota / 16;
            let reserve = self.limits.reserve(&space);
            if below_quota && space.available >= reserve.saturating_add(bytes) {
                // Perhaps another request has removed some.
                break true;
            }
            let ended = self.journal.oldest_ended(owner, 1).await?;
            let Some(oldest) = ended.first() else {
                break removed > 0;
            };
            self.journal.purge(*oldest).await?;
            removed += 1;
        };
        if removed > 0 {
            tracing::info!(
                owner,
                sessions = removed,
                "ended sessions removed for the disk quota"
            );
        }
        Ok(enough)
    }
}

/// The temporary files of an owner's sessions.
#[derive(Debug)]
struct TemporaryFiles {
    quota: Arc<Inner>,
    owner: Option<String>,
}

impl DiskBudget for TemporaryFiles {
    /// Charges bytes up to the quota. The free space is not looked at: temporary
    /// files may be on another file system, which refuses what does not fit.
    fn take(&self, bytes: u64) -> bool {
        let owner = self.owner.as_deref();
        let known = self.quota.state().measured;
        let space = known.map_or(DiskSpace::UNLIMITED, |known| known.space);
        // Charged first, so that two that take at the same time see each other.
        self.quota.temporary.add(owner, bytes);
        let fits = self.quota.used(owner) <= self.quota.limits.quota(owner, &space);
        if !fits {
            self.quota.temporary.remove(owner, bytes);
        }
        fits
    }

    fn give_back(&self, bytes: u64) {
        self.quota.temporary.remove(self.owner.as_deref(), bytes);
        self.quota.released.notify_waiters();
    }
}

impl Drop for DiskPermit {
    fn drop(&mut self) {
        let Some(quota) = &self.quota else {
            return;
        };
        if self.bytes == 0 {
            return;
        }
        let mut state = quota.state();
        state.total_reserved = state.total_reserved.saturating_sub(self.bytes);
        if let Some(reserved) = state.reserved.get_mut(&self.owner) {
            *reserved = reserved.saturating_sub(self.bytes);
            if *reserved == 0 {
                state.reserved.remove(&self.owner);
            }
        }
        drop(state);
        quota.released.notify_waiters();
    }
}
