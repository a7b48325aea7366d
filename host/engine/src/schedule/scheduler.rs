//! Gives guests turns on the CPUs.
//!
//! A guest runs only during its turn, and there are as many turns at once as
//! threads for guests. The next turn goes to whom the [`RunQueue`] names.
//!
//! The epoch clock ends a turn after a slice, but only where the guest checks
//! it: a host call, a copy of much memory or a page fault can take longer. A
//! turn that is overdue therefore no longer counts: another guest gets a turn
//! beside it, on a spare thread, and the operating system shares the CPUs
//! between them. Such an extra turn goes only to a guest that has yielded in
//! time and whose owner has no overdue turn, so those that do not yield delay
//! each other and nobody else. On a server without keys all have one owner, and
//! only the guest counts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::schedule::account::{CpuAccount, Owner};
use crate::schedule::run_queue::{Place, RunQueue};

/// The time slice of a turn.
pub(crate) const SLICE: Duration = Duration::from_millis(2);

/// How long a turn may take until it is overdue. The epoch clock may be late by
/// a slice, and the operating system may interrupt the thread.
const OVERDUE: Duration = Duration::from_millis(6);

/// What a turn costs in addition to its CPU time, so that even empty turns are
/// shared.
const TURN_COST: Duration = Duration::from_micros(5);

/// Shares turns between guests; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Turns at once.
    turns: usize,
    /// Turns in place of overdue ones.
    spare: usize,
    queue: RunQueue<u64>,
    /// Guests that wait, have a turn, or run, by a number.
    guests: HashMap<u64, Guest>,
    running: HashSet<u64>,
    /// Turns that have been given and not ended.
    given: usize,
    overdue: usize,
    /// Overdue turns of each owner that has any.
    overdue_by_owner: HashMap<Owner, usize>,
    last_guest: u64,
}

#[derive(Debug)]
struct Guest {
    account: Arc<CpuAccount>,
    waker: Waker,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting(Place),
    /// Its turn has come, and it does not run yet.
    Given,
    Running {
        since: Instant,
        overdue: bool,
    },
}

/// One guest's way to its turns. Dropping it gives up its turn or its place.
#[derive(Debug)]
pub(crate) struct Turns {
    scheduler: Scheduler,
    account: Arc<CpuAccount>,
    guest: Option<u64>,
}

impl Scheduler {
    /// Creates a scheduler with this many turns at once, and as many more in
    /// place of overdue ones.
    pub(crate) fn new(turns: usize, spare: usize) -> Scheduler {
        Scheduler(Arc::new(Mutex::new(State {
            turns,
            spare,
            queue: RunQueue::new(nanos(SLICE)),
            guests: HashMap::new(),
            running: HashSet::new(),
            given: 0,
            overdue: 0,
            overdue_by_owner: HashMap::new(),
            last_guest: 0,
        })))
    }

    /// Finds overdue turns, and gives others in their place. Called once a
    /// slice.
    pub(crate) fn check_overdue(&self, now: Instant) {
        let woken = {
            let mut state = self.state();
            state.mark_overdue(now);
            state.give_turns(None)
        };
        wake(woken);
    }

    /// Returns how many guests of an owner wait for a turn, for each turn that there
    /// is at once.
    pub(crate) fn waiting_per_turn(&self, owner: &Owner) -> usize {
        let state = self.state();
        state.queue.waiting_of(owner) / state.turns.max(1)
    }

    /// Returns how many guests wait for a turn.
    pub(crate) fn waiting(&self) -> usize {
        self.state().queue.waiting()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    pub(crate) fn new(scheduler: &Scheduler, account: &Arc<CpuAccount>) -> Turns {
        Turns {
            scheduler: scheduler.clone(),
            account: account.clone(),
            guest: None,
        }
    }

    /// Waits for a turn, and begins it.
    pub(crate) fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.scheduler.state();
        let guest = match self.guest {
            Some(guest) => guest,
            None => {
                let guest = state.enqueue(&self.account, context.waker());
                self.guest = Some(guest);
                guest
            }
        };
        let woken = state.give_turns(Some(guest));
        let begun = state.begin(guest, context.waker());
        drop(state);
        wake(woken);
        begun
    }

    /// Ends the turn, which used this much CPU time. A guest that wants another
    /// one gets in line at once, and is woken when its turn has come.
    pub(crate) fn end(&mut self, used: Duration, next: Option<&Waker>) {
        let Some(guest) = self.guest.take() else {
            return;
        };
        let woken = {
            let mut state = self.scheduler.state();
            state.end(guest, used);
            self.guest = next.map(|waker| state.enqueue(&self.account, waker));
            state.give_turns(None)
        };
        wake(woken);
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.end(Duration::ZERO, None);
    }
}

impl State {
    fn enqueue(&mut self, account: &Arc<CpuAccount>, waker: &Waker) -> u64 {
        self.last_guest += 1;
        let guest = self.last_guest;
        let place = self.queue.insert(account, guest);
        self.guests.insert(
            guest,
            Guest {
                account: account.clone(),
                waker: waker.clone(),
                stage: Stage::Waiting(place),
            },
        );
        guest
    }

    /// Gives all turns that can be given. Returns the wakers of those guests.
    ///
    /// The guest that is being polled begins its turn at once and is not woken:
    /// its task would be polled again for nothing, and a guest that waits for
    /// the host would do so without end.
    fn give_turns(&mut self, polled: Option<u64>) -> Vec<Waker> {
        let mut woken = Vec::new();
        loop {
            let most = self.turns + self.overdue.min(self.spare);
            if self.given >= most {
                return woken;
            }
            let is_extra = self.given >= self.turns;
            let by_owner = &self.overdue_by_owner;
            let next = self.queue.take(|account| {
                let is_anonymous = *account.owner() == Owner::Client(None);
                !is_extra
                    || account.yields_in_time()
                        && (is_anonymous || !by_owner.contains_key(account.owner()))
            });
            let Some(number) = next else {
                return woken;
            };
            self.given += 1;
            if let Some(guest) = self.guests.get_mut(&number) {
                guest.stage = Stage::Given;
                if polled != Some(number) {
                    woken.push(guest.waker.clone());
                }
            }
        }
    }

    /// Begins the turn of a guest, if it was given one.
    fn begin(&mut self, guest: u64, waker: &Waker) -> Poll<()> {
        let Some(entry) = self.guests.get_mut(&guest) else {
            return Poll::Pending;
        };
        match entry.stage {
            Stage::Waiting(_) => {
                entry.waker.clone_from(waker);
                Poll::Pending
            }
            Stage::Given | Stage::Running { .. } => {
                entry.stage = Stage::Running {
                    since: Instant::now(),
                    overdue: false,
                };
                self.running.insert(guest);
                Poll::Ready(())
            }
        }
    }

    /// Ends a turn, or gives up a place in the queue.
    fn end(&mut self, guest: u64, used: Duration) {
        let Some(Guest { account, stage, .. }) = self.guests.remove(&guest) else {
            return;
        };
        match stage {
            Stage::Waiting(place) => return self.queue.remove(account.owner(), place),
            Stage::Given => {}
            Stage::Running { overdue, .. } => {
                self.running.remove(&guest);
                if overdue {
                    self.end_overdue(account.owner());
                }
                account.record_turn(used > OVERDUE);
            }
        }
        self.given -= 1;
        self.queue.correct(&account, nanos(used + TURN_COST));
    }

    fn end_overdue(&mut self, owner: &Owner) {
        self.overdue -= 1;
        if let Some(turns) = self.overdue_by_owner.get_mut(owner) {
            *turns -= 1;
            if *turns == 0 {
                self.overdue_by_owner.remove(owner);
            }
        }
    }

    fn mark_overdue(&mut self, now: Instant) {
        for guest in &self.running {
            if let Some(guest) = self.guests.get_mut(guest)
                && let Stage::Running { since, overdue } = &mut guest.stage
                && !*overdue
                && now.saturating_duration_since(*since) > OVERDUE
            {
                *overdue = true;
                self.overdue += 1;
                let owner = guest.account.owner().clone();
                *self.overdue_by_owner.entry(owner).or_default() += 1;
            }
        }
    }
}

/// Wakes tasks, with no lock held: waking may drop one, and with it its turn.
fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(scheduler: &Scheduler, owner: &str) -> Turns {
        let owner = Owner::Client(Some(owner.into()));
        Turns::new(scheduler, &CpuAccount::new(owner))
    }

    fn begins(turns: &mut Turns) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        turns.poll_begin(&mut context).is_ready()
    }

    #[test]
    fn the_number_of_turns_at_once_is_limited() {
        let scheduler = Scheduler::new(2, 2);
        let mut all: Vec<Turns> = (0..3).map(|_| turns(&scheduler, "alice")).collect();
        let begun: Vec<bool> = all.iter_mut().map(begins).collect();
        assert_eq!(begun, [true, true, false]);
        all[0].end(SLICE, None);
        assert!(begins(&mut all[2]));
        assert!(!begins(&mut all[0]));
        // One that is dropped gives its turn up.
        drop(all.remove(1));
        assert!(begins(&mut all[0]));
        drop(all);
        let state = scheduler.state();
        assert_eq!((state.given, state.overdue), (0, 0));
        assert!(state.guests.is_empty() && state.running.is_empty());
    }

    #[test]
    fn one_that_yields_waits_behind_another_owner() {
        let scheduler = Scheduler::new(1, 1);
        let mut busy = turns(&scheduler, "mallory");
        let mut other = turns(&scheduler, "alice");
        assert!(begins(&mut busy));
        assert!(!begins(&mut other));
        busy.end(SLICE, Some(Waker::noop()));
        assert!(!begins(&mut busy));
        assert!(begins(&mut other));
        other.end(Duration::ZERO, None);
        assert!(begins(&mut busy));
    }

    #[test]
    fn an_overdue_turn_delays_only_its_own_owner() {
        let scheduler = Scheduler::new(1, 1);
        let late = Instant::now() + OVERDUE * 2;
        let [mut first, mut second] = ["mallory", "mallory"].map(|who| turns(&scheduler, who));
        let mut quick = turns(&scheduler, "alice");
        assert!(begins(&mut first));
        assert!(!begins(&mut second));
        assert!(!begins(&mut quick));
        scheduler.check_overdue(Instant::now());
        assert!(!begins(&mut quick), "the turn is not overdue yet");
        scheduler.check_overdue(late);
        assert!(begins(&mut quick));
        assert!(!begins(&mut second));
        quick.end(Duration::ZERO, None);
        assert!(!begins(&mut second));
        first.end(OVERDUE * 2, None);
        assert!(begins(&mut second));
        drop((first, second));
        assert!(scheduler.state().overdue_by_owner.is_empty());
    }

    #[test]
    fn without_keys_an_overdue_turn_delays_only_those_that_overrun_or_are_new() {
        let scheduler = Scheduler::new(1, 1);
        let turns = || Turns::new(&scheduler, &CpuAccount::new(Owner::Client(None)));
        let [mut slow, mut other, mut quick] = [(); 3].map(|()| turns());
        for _ in 0..10 {
            assert!(begins(&mut quick));
            quick.end(Duration::ZERO, None);
        }
        assert!(begins(&mut slow));
        assert!(!begins(&mut other));
        assert!(!begins(&mut quick));
        scheduler.check_overdue(Instant::now() + OVERDUE * 2);
        assert!(begins(&mut quick));
        assert!(!begins(&mut other));
    }
}
