//! The bytes on disk that each owner's episodes take.
//!
//! A store keeps the bytes of an episode beside it and changes them in the
//! transaction that writes or removes a record, so that they are exact after a
//! crash. The ledger holds the sums by owner.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a record takes beside its bytes: its episode, slot, link and position.
const RECORD_OVERHEAD: u64 = 128;

/// What an episode takes in the index, with its names.
pub(crate) const EPISODE_SIZE: u64 = 768;

/// Bytes of a page of the database.
const PAGE: u64 = 4096;

/// Returns what a record of this many bytes takes on disk. A page holds whole
/// records or the rest of one, so a record of more than half a page takes one.
pub(crate) fn record_size(bytes: usize) -> u64 {
    let size = u64::try_from(bytes).unwrap_or(u64::MAX - PAGE) + RECORD_OVERHEAD;
    if size <= PAGE / 2 {
        size
    } else {
        size.next_multiple_of(PAGE)
    }
}

/// The sums of all owners; an owner of `None` stands for all clients without an
/// API key.
#[derive(Debug, Default)]
pub struct UsageLedger(Mutex<Sums>);

/// Sums by owner.
#[derive(Debug, Default)]
struct Sums {
    owners: HashMap<Option<String>, u64>,
    total: u64,
}

impl UsageLedger {
    /// Returns the bytes of this owner's episodes, live and ended.
    pub fn of(&self, owner: Option<&str>) -> u64 {
        let sums = self.sums();
        sums.owners
            .get(&owner.map(str::to_owned))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the bytes of all episodes.
    pub fn total(&self) -> u64 {
        self.sums().total
    }

    /// Returns how many owners have episodes.
    pub fn owners(&self) -> usize {
        self.sums().owners.len()
    }

    /// Replaces all sums.
    pub(crate) fn reset(&self, owners: HashMap<Option<String>, u64>) {
        let mut sums = self.sums();
        sums.total = owners.values().sum();
        sums.owners = owners;
    }

    /// Adds bytes to an owner.
    pub(crate) fn add(&self, owner: Option<&str>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut sums = self.sums();
        sums.total = sums.total.saturating_add(bytes);
        let sum = sums.owners.entry(owner.map(str::to_owned)).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// Takes bytes from an owner.
    pub(crate) fn remove(&self, owner: Option<&str>, bytes: u64) {
        let mut sums = self.sums();
        sums.total = sums.total.saturating_sub(bytes);
        let key = owner.map(str::to_owned);
        if let Some(sum) = sums.owners.get_mut(&key) {
            *sum = sum.saturating_sub(bytes);
            if *sum == 0 {
                sums.owners.remove(&key);
            }
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
