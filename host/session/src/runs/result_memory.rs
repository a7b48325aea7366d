//! The memory of results that clients can fetch again, over all sessions.
//!
//! A result is charged to the owner of its session at its size in memory, and the
//! charge lasts as long as anything holds the result: the cache of the session,
//! a reader, or the last call. Where the share of the owner or the total would be
//! exceeded, the oldest results leave memory before their time. A journal still
//! has them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use orwd_limiter::{BudgetExceeded, ByteBudget, BytePermit};
use orwd_model::{HeapSize, RunId, RunOutcome};

use crate::actor::state::SharedState;
use crate::api::principal::Principal;
use crate::runs::run::HeldOutcome;

/// The results in memory.
pub(crate) struct ResultMemory {
    budget: Arc<ByteBudget<Principal>>,
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
        ResultMemory {
            budget: ByteBudget::new(total, total / 2),
            ttl,
            kept: Mutex::default(),
        }
    }

    /// Returns the bytes of all results in memory.
    pub(crate) fn used(&self) -> usize {
        self.budget.used()
    }

    /// Charges the result of a run that the session keeps. Evicts older results
    /// if necessary, so no lock on runs may be held.
    pub(crate) fn keep(
        &self,
        session: &Arc<SharedState>,
        run: RunId,
        outcome: RunOutcome,
    ) -> HeldOutcome {
        let owner = &session.identity.owner;
        let held = self.hold(owner, outcome);
        let now = Instant::now();
        let mut kept = self.kept();
        let results = kept.entry(owner.clone()).or_default();
        let bytes = held.bytes();
        results.bytes += bytes;
        results.results.push_back(KeptResult {
            session: Arc::downgrade(session),
            run,
            bytes,
            expires: now + self.ttl,
        });
        held
    }

    /// Charges a result that is not kept after it has been read.
    pub(crate) fn hold(&self, owner: &Principal, outcome: RunOutcome) -> HeldOutcome {
        let bytes = size_of::<RunOutcome>() + outcome.heap_size();
        let permit = loop {
            match self.budget.try_take(owner, bytes) {
                Ok(permit) => break permit,
                Err(exceeded) => {
                    if !self.evict_one(owner, exceeded) {
                        // The run is over, so its result exists already.
                        break self.budget.take_over_limit(owner, bytes);
                    }
                }
            }
        };
        HeldOutcome::charged(outcome, permit)
    }

    /// Returns whether another run of this owner may begin: not while results
    /// that are being read take all of the memory.
    pub(crate) fn has_space(&self, owner: &Principal) -> bool {
        while let Err(exceeded) = self.budget.check(owner, 1) {
            if !self.evict_one(owner, exceeded) {
                return false;
            }
        }
        true
    }

    /// Returns a charge of nothing, which grows with what a session remembers of
    /// its runs.
    pub(crate) fn empty_charge(&self, owner: &Principal) -> BytePermit<Principal> {
        self.budget.take_over_limit(owner, 0)
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

#[cfg(test)]
mod tests {
    use orwd_model::{Digest, EnvName, SessionId, Timestamp};

    use super::*;
    use crate::actor::state::{Phase, SessionIdentity};
    use crate::metrics::counters::SessionCounters;
    use crate::runs::run::Run;

    const TTL: Duration = Duration::from_secs(60);

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
        let held = memory.keep(session, id, RunOutcome::Failed("x".repeat(bytes)));
        session.runs().finish(id, held.bytes(), Instant::now());
        sender.send(held);
        id
    }

    #[test]
    fn the_oldest_results_of_an_owner_leave_for_its_newer_ones() {
        let memory = ResultMemory::new(100_000, TTL);
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
        let memory = ResultMemory::new(100_000, TTL);
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
        let memory = ResultMemory::new(10_000, TTL);
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
}
