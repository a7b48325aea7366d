//! The memory that the guests of all sessions have grown by.
//!
//! The memory of one guest is limited, and so is their sum, first by owner. A guest
//! is charged once it has grown by more than a little, for as long as it is in
//! memory. It runs only while its owner has no more than its share. Otherwise idle
//! sessions of that owner hibernate; if none is left, one of its guests at a time
//! runs to the end of its call, and the others wait, so that nobody waits for
//! somebody who waits. Guests of other owners are not concerned.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orwd_journal::EpisodeId;
use orwd_limiter::{ByteBudget, BytePermit};
use orwd_model::{MemoryBudget, MemoryTurn, MemoryWait};

use crate::api::principal::Principal;
use crate::limits::eviction::ResidentSet;
use crate::limits::permit_turns::PermitTurns;

/// Why a request is not taken at the moment.
pub(crate) const GUESTS_TOO_LARGE: &str = "the guests of this client take all memory for them; \
                                           try again (--guest-memory)";

/// Growth that is not charged: what sessions usually need. Their number bounds it.
const SMALL: usize = 4 << 20;

/// What all guests may grow by on machines of usual size.
const USUAL_TOTAL: u64 = 1 << 30;

/// The time between two looks at an owner's sessions, by one request that waits.
const INTERVAL: Duration = Duration::from_millis(50);

/// The time between two looks at the memory, by a guest that waits for its turn.
const LONG_INTERVAL: Duration = Duration::from_secs(1);

/// The memory of all guests.
pub(crate) struct GuestMemory {
    budget: Arc<ByteBudget<Principal>>,
    residents: Arc<ResidentSet>,
    charged: Mutex<HashMap<Principal, HashSet<EpisodeId>>>,
    /// One session of an owner at a time is evicted.
    evictions: PermitTurns,
    /// One request of an owner at a time looks for memory.
    requests: PermitTurns,
    /// One guest of an owner at a time runs although there is no memory.
    guests: PermitTurns,
}

/// The memory of one guest.
struct SessionMemory {
    pool: Arc<GuestMemory>,
    owner: Principal,
    episode: EpisodeId,
    charge: Mutex<SessionCharge>,
}

#[derive(Default)]
struct SessionCharge {
    grown: usize,
    /// None while the guest is small.
    permit: Option<BytePermit<Principal>>,
}

/// Returns the memory that guests may grow by all together on a machine, or in a
/// container, that has this much.
///
/// It is small beside that of a large machine, since one client has half of it, and
/// leaves most of a small one to everything else.
pub fn default_guest_memory(available: Option<u64>) -> usize {
    let bytes = available.map_or(USUAL_TOTAL, |available| {
        (available / 32).max(USUAL_TOTAL).min(available / 4)
    });
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl GuestMemory {
    /// Creates the memory of `total` bytes, half of it for one owner.
    pub(crate) fn new(total: usize, residents: Arc<ResidentSet>) -> GuestMemory {
        GuestMemory {
            budget: ByteBudget::new(total, total / 2),
            residents,
            charged: Mutex::default(),
            evictions: PermitTurns::default(),
            requests: PermitTurns::default(),
            guests: PermitTurns::default(),
        }
    }

    /// Returns the bytes that are charged.
    pub(crate) fn used(&self) -> usize {
        self.budget.used()
    }

    /// Returns what a guest of this session is charged to.
    pub(crate) fn of_session(
        self: &Arc<Self>,
        owner: &Principal,
        episode: EpisodeId,
    ) -> Arc<dyn MemoryBudget> {
        Arc::new(SessionMemory {
            pool: self.clone(),
            owner: owner.clone(),
            episode,
            charge: Mutex::default(),
        })
    }

    /// Waits until the owner has no more than its share; returns false if that takes
    /// longer than `limit`.
    pub(crate) async fn wait_for_share(&self, owner: &Principal, limit: Duration) -> bool {
        if !self.is_short(owner) {
            return true;
        }
        let waiting = async {
            let turns = self.requests.of(owner);
            let _turn = turns.acquire().await;
            while !self.make_room(owner).await {
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// Returns whether the owner has more than its share. A guest may always have
    /// what its own limit allows, if it is the only large one of its owner.
    fn is_short(&self, owner: &Principal) -> bool {
        let several = self.charged().get(owner).is_some_and(|all| all.len() > 1);
        several && self.budget.check(owner, 1).is_err()
    }

    /// Evicts idle sessions of the owner while it has more than its share. Returns
    /// whether it has no more.
    async fn make_room(&self, owner: &Principal) -> bool {
        let turns = self.evictions.of(owner);
        let _turn = turns.acquire().await;
        while self.is_short(owner) {
            let large = self.charged().get(owner).cloned().unwrap_or_default();
            if !self.residents.evict_one_of(&large).await {
                return false;
            }
        }
        true
    }

    /// Waits until the owner has no more than its share, or it is the turn of this
    /// guest to run nevertheless.
    async fn wait_for_turn(&self, owner: &Principal) -> Option<MemoryTurn> {
        let turns = self.guests.of(owner);
        loop {
            let turn = turns.clone().acquire_owned();
            match tokio::time::timeout(LONG_INTERVAL, turn).await {
                Ok(turn) => {
                    let has_room = self.make_room(owner).await;
                    return (!has_room).then(|| -> MemoryTurn { Box::new(turn) });
                }
                Err(_) if !self.is_short(owner) => return None,
                Err(_) => {}
            }
        }
    }

    fn charged(&self) -> MutexGuard<'_, HashMap<Principal, HashSet<EpisodeId>>> {
        self.charged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryBudget for SessionMemory {
    fn charge(&self, bytes: usize) {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        charge.grown = charge.grown.saturating_add(bytes);
        let grown = charge.grown;
        match &mut charge.permit {
            // It has the memory already, within its own limit.
            Some(permit) => permit.grow_over_limit(bytes),
            None if grown > SMALL => {
                charge.permit = Some(self.pool.budget.take_over_limit(&self.owner, grown));
                let mut charged = self.pool.charged();
                let of_owner = charged.entry(self.owner.clone()).or_default();
                of_owner.insert(self.episode);
            }
            None => {}
        }
    }

    fn wait(&self) -> Option<MemoryWait> {
        if !self.pool.is_short(&self.owner) {
            return None;
        }
        let (pool, owner) = (self.pool.clone(), self.owner.clone());
        Some(Box::pin(async move { pool.wait_for_turn(&owner).await }))
    }
}

impl Drop for SessionMemory {
    fn drop(&mut self) {
        let mut charged = self.pool.charged();
        if let Some(of_owner) = charged.get_mut(&self.owner) {
            of_owner.remove(&self.episode);
            if of_owner.is_empty() {
                charged.remove(&self.owner);
            }
        }
    }
}

impl fmt::Debug for SessionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMemory")
            .field("owner", &self.owner)
            .field("episode", &self.episode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    const MIB: usize = 1 << 20;

    fn pool(total: usize) -> Arc<GuestMemory> {
        let residents = Arc::new(ResidentSet::new(true, Counter::default()));
        Arc::new(GuestMemory::new(total, residents))
    }

    fn guest(pool: &Arc<GuestMemory>, owner: &Principal, grown: usize) -> Arc<dyn MemoryBudget> {
        let guest = pool.of_session(owner, EpisodeId::new());
        guest.charge(grown);
        guest
    }

    #[test]
    fn the_memory_for_guests_follows_that_of_the_machine() {
        for (available, expected) in [
            (None, 1024),
            (Some(256), 64),
            (Some(2048), 512),
            (Some(4096), 1024),
            (Some(32 << 10), 1024),
            (Some(128 << 10), 4096),
        ] {
            let bytes = default_guest_memory(available.map(|mebibytes| mebibytes << 20));
            assert_eq!(bytes >> 20, expected, "{available:?}");
        }
    }

    #[test]
    fn small_guests_cost_nothing_and_large_ones_all_that_they_grew_by() {
        let (pool, alice) = (pool(64 * MIB), Principal::Named("alice".into()));
        let small = guest(&pool, &alice, 4 * MIB);
        assert_eq!(pool.used(), 0);
        small.charge(MIB);
        assert_eq!(pool.used(), 5 * MIB);
        drop(small);
        assert_eq!(pool.used(), 0);
        assert!(pool.charged().is_empty());
    }

    #[tokio::test]
    async fn guests_of_an_owner_above_its_share_run_one_at_a_time() {
        let pool = pool(64 * MIB);
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let first = guest(&pool, &alice, 40 * MIB);
        assert!(first.wait().is_none(), "it is the only one");
        let second = guest(&pool, &alice, 8 * MIB);
        let of_bob = guest(&pool, &bob, 8 * MIB);
        assert!(of_bob.wait().is_none(), "others are not concerned");
        let turn = first.wait().expect("there are two now").await;
        assert!(turn.is_some());
        let mut waits = second.wait().expect("no memory");
        let early = tokio::time::timeout(Duration::from_millis(5), &mut waits).await;
        assert!(early.is_err(), "one at a time");
        assert!(!pool.wait_for_share(&alice, Duration::from_millis(5)).await);
        assert!(pool.wait_for_share(&bob, Duration::ZERO).await);
        drop((turn, first));
        assert!(waits.await.is_none(), "there is memory again");
        assert!(pool.wait_for_share(&alice, Duration::ZERO).await);
        drop((second, of_bob));
        assert_eq!(pool.used(), 0);
    }
}
