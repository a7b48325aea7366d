//! The memory of results that clients can fetch again, over all sessions.
//!
//! A result is charged to the owner of its session at its size in memory, and the
//! charge lasts as long as anything holds the result: the cache of the session,
//! a reader, or the last call. Where the share of the owner or the total would be
//! exceeded, the oldest results leave memory before their time. A journal still
//! has them. Where what is being read takes the share, the owner's other calls
//! wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use orwd_limiter::{BudgetExceeded, ByteBudget, BytePermit};
use orwd_model::{HeapSize, RunId, RunOutcome};

use crate::actor::state::SharedState;
use crate::api::principal::Principal;
use crate::runs::run::HeldOutcome;

/// The part of the memory that idempotency keys get, so that they leave room for
/// results.
const KEYS: usize = 4;

/// The part of an owner's share that has to be free before a call continues; less
/// where results cannot be that large.
const FREE: usize = 8;

/// The results in memory.
pub(crate) struct ResultMemory {
    budget: Arc<ByteBudget<Principal>>,
    /// For idempotency keys.
    keys: Arc<ByteBudget<Principal>>,
    /// The share of an owner whose others hold nothing.
    share: usize,
    ttl: Duration,
    kept: Mutex<HashMap<Principal, KeptResults>>,
}

/// The results of one owner, the oldest first.
#[derive(Default)]
struct KeptResults {
    bytes: usize,
    results: VecDeque<KeptResult>,
}

struct KeptResult {
    session: Weak<SharedState>,
    run: RunId,
    bytes: usize,
    expires: Instant,
}

impl ResultMemory {
    /// Creates the memory of `total` bytes, half of it for one owner. A result
    /// is kept for `ttl`.
    pub(crate) fn new(total: usize, ttl: Duration) -> ResultMemory {
        let keys = total / KEYS;
        let results = total - keys;
        ResultMemory {
            budget: ByteBudget::new(results, results / 2),
            keys: ByteBudget::new(keys, keys / 2),
            share: results / 2,
            ttl,
            kept: Mutex::default(),
        }
    }

    /// Returns the bytes of all results and keys in memory.
    pub(crate) fn used(&self) -> usize {
        self.budget.used() + self.keys.used()
    }

    /// Keeps a result that clients may fetch again, until others need its memory.
    pub(crate) fn keep(&self, session: &Arc<SharedState>, run: RunId, held: &HeldOutcome) {
        let mut kept = self.kept();
        let results = kept.entry(session.identity.owner.clone()).or_default();
        let bytes = held.bytes();
        results.bytes += bytes;
        results.results.push_back(KeptResult {
            session: Arc::downgrade(session),
            run,
            bytes,
            expires: Instant::now() + self.ttl,
        });
    }

    /// Charges a result.
    pub(crate) fn hold(&self, owner: &Principal, outcome: RunOutcome) -> HeldOutcome {
        let bytes = outcome_size(&outcome);
        HeldOutcome::charged(outcome, self.charge(owner, bytes))
    }

    /// Charges what is in memory already. Its owner had room before, so this exceeds
    /// the share by one result at most. Evicts older results if necessary, so no
    /// lock on runs may be held.
    pub(crate) fn charge(&self, owner: &Principal, bytes: usize) -> BytePermit<Principal> {
        loop {
            match self.budget.try_take(owner, bytes) {
                Ok(permit) => return permit,
                Err(exceeded) => {
                    if !self.evict_one(owner, exceeded) {
                        return self.budget.take_over_limit(owner, bytes);
                    }
                }
            }
        }
    }

    /// Returns whether another run of this owner may begin: not while results
    /// that are being read take all of its memory, or others wait for it.
    pub(crate) fn has_space(&self, owner: &Principal) -> bool {
        self.has_room(owner, 1)
    }

    /// Returns how to wait until the owner has room for a result, the largest of
    /// which has this size; none if it has.
    pub(crate) fn wait_for_room(
        &self,
        owner: &Principal,
        largest: usize,
    ) -> Option<impl Future<Output = BytePermit<Principal>> + Send + use<>> {
        let room = largest.min(self.share / FREE).max(1);
        if self.has_room(owner, room) {
            return None;
        }
        // Not all of a share: that may be free only after a long wait.
        let permit = self
            .budget
            .take(owner, largest.min(self.share / 2).max(room));
        self.make_room();
        Some(permit)
    }

    fn has_room(&self, owner: &Principal, bytes: usize) -> bool {
        if self.budget.is_awaited_by(owner) {
            return false;
        }
        while let Err(exceeded) = self.budget.check(owner, bytes) {
            if !self.evict_one(owner, exceeded) {
                return false;
            }
        }
        true
    }

    /// Evicts results for those that wait for memory. What is being read stays until
    /// it has been read.
    pub(crate) fn make_room(&self) {
        loop {
            let waiting = self.budget.waiting();
            let mut waiting = waiting.iter();
            if !waiting.any(|(owner, exceeded)| self.evict_one(owner, *exceeded)) {
                return;
            }
        }
    }

    /// Returns a charge of nothing, which grows with what a session remembers of
    /// its runs.
    pub(crate) fn empty_charge(&self, owner: &Principal) -> BytePermit<Principal> {
        self.keys.take_over_limit(owner, 0)
    }

    /// Forgets what has expired, which the cache of the session drops by itself.
    pub(crate) fn expire(&self, now: Instant) {
        self.kept().retain(|_, results| {
            while results
                .results
                .front()
                .is_some_and(|oldest| oldest.expires <= now)
            {
                results.pop();
            }
            !results.results.is_empty()
        });
    }

    /// Evicts the oldest result of the owner, or of the owner with the most;
    /// returns whether there was one.
    fn evict_one(&self, owner: &Principal, exceeded: BudgetExceeded) -> bool {
        let oldest = {
            let mut kept = self.kept();
            let results = match exceeded {
                BudgetExceeded::Key(_) => kept.get_mut(owner),
                BudgetExceeded::Total(_) => kept.values_mut().max_by_key(|kept| kept.bytes),
            };
            results.and_then(KeptResults::pop)
        };
        let Some(oldest) = oldest else {
            return false;
        };
        oldest.evict();
        true
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Principal, KeptResults>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptResults {
    fn pop(&mut self) -> Option<KeptResult> {
        let oldest = self.results.pop_front()?;
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        Some(oldest)
    }
}

impl KeptResult {
    /// Removes the result from its session.
    fn evict(&self) {
        if let Some(session) = self.session.upgrade() {
            session.runs().remove_finished(self.run);
            session.retries().release(self.run);
        }
    }
}

/// Returns the size of an outcome in memory.
pub(crate) fn outcome_size(outcome: &RunOutcome) -> usize {
    size_of::<RunOutcome>() + outcome.heap_size()
}

#[cfg(test)]
mod tests {
    use orwd_model::{Digest, EnvName, SessionId, Timestamp};

    use super::*;
    use crate::actor::state::{Phase, SessionIdentity};
    use crate::metrics::counters::SessionCounters;
    use crate::runs::run::Run;

    const TTL: Duration = Duration::from_secs(60);

    /// Returns a memory with this many bytes for results.
    fn memory(results: usize) -> ResultMemory {
        ResultMemory::new(results / 3 * 4 + 4, TTL)
    }

    fn session(owner: &str) -> Arc<SharedState> {
        let identity = SessionIdentity {
            owner: Principal::Named(owner.into()),
            id: SessionId::new("s").unwrap(),
            episode: orwd_journal::EpisodeId::new(),
            environment: EnvName::new("alpha").unwrap(),
            component: Digest::of(b""),
            created: Timestamp::now(),
            creation: None,
            import: None,
        };
        let counters = SessionCounters::new([].into_iter());
        let counters = counters.of_environment(&identity.environment);
        Arc::new(SharedState::new(identity, Phase::Ready, TTL, counters))
    }

    /// Finishes a run with a result of about this size.
    fn finish(memory: &ResultMemory, session: &Arc<SharedState>, bytes: usize) -> RunId {
        let id = RunId::random();
        let (run, sender) = Run::started(id);
        session.runs().insert(run);
        let owner = &session.identity.owner;
        let held = memory.hold(owner, RunOutcome::Failed("x".repeat(bytes)));
        memory.keep(session, id, &held);
        session.runs().finish(id, held.bytes(), Instant::now());
        sender.send(held);
        id
    }

    #[test]
    fn the_oldest_results_of_an_owner_leave_for_its_newer_ones() {
        let memory = memory(100_000);
        let (alice, bob) = (session("alice"), session("bob"));
        let of_bob = finish(&memory, &bob, 1000);
        let ids: Vec<RunId> = (0..8).map(|_| finish(&memory, &alice, 10_000)).collect();
        let kept = ids.iter().filter(|id| alice.runs().contains(**id)).count();
        assert_eq!(kept, 4, "half of the memory");
        assert!(alice.runs().contains(ids[7]) && !alice.runs().contains(ids[0]));
        assert!(bob.runs().contains(of_bob));
        assert!(memory.budget.used() <= 100_000);
        let later = Instant::now() + TTL;
        memory.expire(later);
        assert!(memory.kept().is_empty());
        alice.runs().evict(later);
        bob.runs().evict(later);
        assert_eq!(memory.budget.used(), 0);
    }

    #[test]
    fn the_owner_with_the_most_makes_room_for_others() {
        let memory = memory(100_000);
        let owners: Vec<_> = ["a", "b", "c"].map(session).into();
        for _ in 0..4 {
            finish(&memory, &owners[0], 10_000);
        }
        for _ in 0..4 {
            finish(&memory, &owners[1], 10_000);
        }
        let last = finish(&memory, &owners[2], 30_000);
        assert!(owners[2].runs().contains(last));
        assert!(memory.budget.used() <= 100_000);
        assert!(memory.budget.used_by(&owners[1].identity.owner) >= 20_000);
    }

    #[test]
    fn a_result_that_is_being_read_stays_charged_and_holds_up_new_runs() {
        let memory = memory(10_000);
        let alice = session("alice");
        let owner = &alice.identity.owner;
        let id = finish(&memory, &alice, 20_000);
        let reader = alice.runs().get(id, Instant::now()).unwrap();
        let outcome = reader.try_outcome().unwrap();
        assert!(!memory.has_space(owner), "it is read");
        drop((reader, outcome));
        assert!(memory.has_space(owner), "nothing holds it any more");
        assert!(!alice.runs().contains(id));
    }

    #[tokio::test]
    async fn calls_of_an_owner_without_room_wait_for_its_readers_and_not_for_others() {
        let memory = memory(100_000);
        let [alice, bob] = ["alice", "bob"].map(session);
        let (owner, other) = (&alice.identity.owner, &bob.identity.owner);
        let of_bob = finish(&memory, &bob, 1000);
        let mut readers: Vec<_> = (0..4)
            .map(|_| finish(&memory, &alice, 11_000))
            .map(|id| alice.runs().get(id, Instant::now()).unwrap())
            .collect();
        assert!(memory.wait_for_room(owner, 4000).is_none());
        let last = finish(&memory, &alice, 4000);
        readers.push(alice.runs().get(last, Instant::now()).unwrap());
        let mut waits = Box::pin(memory.wait_for_room(owner, 4000).unwrap());
        assert!(!memory.has_space(owner), "nobody overtakes");
        assert!(memory.wait_for_room(other, 10_000).is_none());
        assert!(bob.runs().contains(of_bob), "the results of others stay");
        let early = tokio::time::timeout(Duration::from_millis(5), &mut waits).await;
        assert!(early.is_err());
        // What finishes meanwhile is not kept for later readers.
        let meanwhile = finish(&memory, &alice, 1000);
        memory.make_room();
        assert!(!alice.runs().contains(meanwhile));
        readers.remove(0);
        let room = waits.await;
        assert!(memory.budget.used_by(owner) <= 50_000 && room.bytes() == 4000);
        drop((room, readers));
        assert!(memory.has_space(owner));
    }
}
