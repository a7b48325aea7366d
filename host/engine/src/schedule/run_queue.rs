//! The order in which guests get the CPUs.
//!
//! Start-time fair queueing on two levels. The owner that has used the least
//! CPU time is first, and of its instances the one that has used the least. An
//! owner or instance that was idle joins at the current virtual time: it
//! neither saves up time nor waits for what others used before.
//!
//! The length of a turn is unknown when it begins, so a whole slice is charged
//! then, and corrected when the turn has ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::schedule::account::{CpuAccount, Owner};

/// A place in a queue: virtual time, then order of arrival.
pub(crate) type Place = (u64, u64);

/// Instances that wait for a turn, each with an item of the caller's.
#[derive(Debug)]
pub(crate) struct RunQueue<T> {
    /// What a turn is charged at first.
    slice: u64,
    /// The virtual time: the largest start of a turn so far.
    now: u64,
    arrivals: u64,
    owners: HashMap<Owner, OwnerQueue<T>>,
    /// The owners that have instances waiting.
    order: BTreeMap<Place, Owner>,
}

/// The instances of one owner. Their number is that of API keys and
/// environments, so none is ever removed.
#[derive(Debug)]
struct OwnerQueue<T> {
    now: u64,
    paid_until: u64,
    place: Option<Place>,
    waiting: BTreeMap<Place, Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    account: Arc<CpuAccount>,
    item: T,
}

impl<T> RunQueue<T> {
    pub(crate) fn new(slice: u64) -> RunQueue<T> {
        RunQueue {
            slice,
            now: 0,
            arrivals: 0,
            owners: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Adds an instance that waits for a turn.
    pub(crate) fn insert(&mut self, account: &Arc<CpuAccount>, item: T) -> Place {
        self.arrivals += 1;
        let queue = self
            .owners
            .entry(account.owner().clone())
            .or_insert_with(|| OwnerQueue {
                now: 0,
                paid_until: 0,
                place: None,
                waiting: BTreeMap::new(),
            });
        let place = (queue.now.max(account.paid_until()), self.arrivals);
        let account = account.clone();
        let owner = account.owner().clone();
        queue.waiting.insert(place, Waiting { account, item });
        if queue.place.is_none() {
            self.place_owner(&owner, self.arrivals);
        }
        place
    }

    /// Returns how many instances of an owner wait for a turn.
    pub(crate) fn waiting_of(&self, owner: &Owner) -> usize {
        self.owners
            .get(owner)
            .map_or(0, |queue| queue.waiting.len())
    }

    /// Returns how many instances wait for a turn. Only owners with some are
    /// looked at.
    pub(crate) fn waiting(&self) -> usize {
        self.order
            .values()
            .map(|owner| self.waiting_of(owner))
            .sum()
    }

    /// Removes and charges the instance whose turn is next, of those that fit.
    pub(crate) fn take(&mut self, fits: impl Fn(&CpuAccount) -> bool) -> Option<T> {
        let (start, place, owner) = self.order.iter().find_map(|((start, _), owner)| {
            let mut waiting = self.owners.get(owner)?.waiting.iter();
            let (place, _) = waiting.find(|(_, waiting)| fits(&waiting.account))?;
            Some((*start, *place, owner.clone()))
        })?;
        let queue = self.owners.get_mut(&owner)?;
        let Waiting { account, item } = queue.waiting.remove(&place)?;
        account.set_paid_until(place.0.saturating_add(self.slice));
        queue.now = queue.now.max(place.0);
        queue.paid_until = start.saturating_add(self.slice);
        self.now = self.now.max(start);
        self.arrivals += 1;
        self.place_owner(&owner, self.arrivals);
        Some(item)
    }

    /// Replaces the slice that was charged for a turn by what it has used.
    pub(crate) fn correct(&mut self, account: &CpuAccount, used: u64) {
        let corrected = |time: u64| time.saturating_add(used).saturating_sub(self.slice);
        account.set_paid_until(corrected(account.paid_until()));
        let Some(queue) = self.owners.get_mut(account.owner()) else {
            return;
        };
        queue.paid_until = corrected(queue.paid_until);
        if let Some((_, arrival)) = queue.place {
            self.place_owner(account.owner(), arrival);
        }
    }

    /// Removes an instance that no longer waits.
    pub(crate) fn remove(&mut self, owner: &Owner, place: Place) {
        if let Some(queue) = self.owners.get_mut(owner) {
            queue.waiting.remove(&place);
            if queue.waiting.is_empty() {
                self.place_owner(owner, place.1);
            }
        }
    }

    /// Puts an owner where its use of the CPUs places it, if it has instances
    /// waiting.
    fn place_owner(&mut self, owner: &Owner, arrival: u64) {
        let Some(queue) = self.owners.get_mut(owner) else {
            return;
        };
        if let Some(place) = queue.place.take() {
            self.order.remove(&place);
        }
        if !queue.waiting.is_empty() {
            let place = (self.now.max(queue.paid_until), arrival);
            queue.place = Some(place);
            self.order.insert(place, owner.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u64 = 10;

    fn any(_: &CpuAccount) -> bool {
        true
    }

    fn account(owner: &str) -> Arc<CpuAccount> {
        CpuAccount::new(Owner::Client(Some(owner.into())))
    }

    #[test]
    fn counts_what_waits() {
        let mut queue = RunQueue::new(SLICE);
        let accounts = ["a", "a", "b"].map(account);
        let places = accounts.each_ref().map(|account| queue.insert(account, ()));
        assert_eq!(queue.waiting(), 3);
        queue.take(any);
        queue.remove(accounts[2].owner(), places[2]);
        assert_eq!(queue.waiting(), 1);
        queue.take(any);
        assert_eq!(queue.waiting(), 0);
    }

    /// Gives turns of this length to instances that always want another one;
    /// returns how often each had one.
    fn run(lengths: &[(&str, u64)], turns: usize) -> Vec<usize> {
        let mut queue = RunQueue::new(SLICE);
        let accounts: Vec<_> = lengths.iter().map(|(owner, _)| account(owner)).collect();
        for (index, account) in accounts.iter().enumerate() {
            queue.insert(account, index);
        }
        let mut counts = vec![0; lengths.len()];
        for _ in 0..turns {
            let index = queue.take(any).unwrap();
            counts[index] += 1;
            queue.correct(&accounts[index], lengths[index].1);
            queue.insert(&accounts[index], index);
        }
        counts
    }

    #[test]
    fn owners_share_evenly_however_many_instances_they_have() {
        let mut lengths = vec![("alice", SLICE)];
        lengths.extend([("mallory", SLICE); 100]);
        let counts = run(&lengths, 2000);
        assert!((995..=1005).contains(&counts[0]), "{counts:?}");
        assert!(counts[1..].iter().all(|turns| (9..=11).contains(turns)));
    }

    #[test]
    fn long_turns_are_charged_in_full() {
        let counts = run(&[("alice", SLICE), ("mallory", 9 * SLICE)], 1000);
        assert!((895..=905).contains(&counts[0]), "{counts:?}");
        // Within one owner, too.
        let counts = run(&[("alice", SLICE), ("alice", 9 * SLICE)], 1000);
        assert!((895..=905).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn who_was_idle_is_next_and_saves_nothing_up() {
        let mut queue = RunQueue::new(SLICE);
        let [alice, mallory] = ["alice", "mallory"].map(account);
        let others: Vec<_> = (0..10).map(|_| account("mallory")).collect();
        for other in &others {
            queue.insert(other, 'm');
        }
        for other in others.iter().cycle().take(1000) {
            queue.take(any).unwrap();
            queue.correct(other, SLICE);
            queue.insert(other, 'm');
        }
        queue.insert(&alice, 'a');
        let mut order = String::new();
        for _ in 0..6 {
            let next = queue.take(any).unwrap();
            order.push(next);
            let account = if next == 'a' { &alice } else { &mallory };
            queue.correct(account, SLICE);
            queue.insert(account, next);
        }
        assert!(order.starts_with('a') || order.starts_with("ma"), "{order}");
        assert_eq!(order.matches('a').count(), 3, "{order}");
    }

    #[test]
    fn those_that_overrun_can_be_passed_over() {
        let mut queue = RunQueue::new(SLICE);
        let [slow, quick] = ["mallory", "alice"].map(account);
        slow.record_turn(true);
        queue.insert(&slow, 's');
        queue.insert(&quick, 'q');
        assert_eq!(queue.take(CpuAccount::yields_in_time), Some('q'));
        assert_eq!(queue.take(CpuAccount::yields_in_time), None);
        assert_eq!(queue.take(any), Some('s'));
        // It is forgotten after some turns in time.
        for _ in 0..64 {
            assert!(!slow.yields_in_time());
            slow.record_turn(false);
        }
        assert!(slow.yields_in_time());
    }

    #[test]
    fn one_that_no_longer_waits_is_removed() {
        let mut queue = RunQueue::new(SLICE);
        let [alice, bob] = ["alice", "bob"].map(account);
        let place = queue.insert(&alice, 'a');
        queue.insert(&bob, 'b');
        queue.remove(alice.owner(), place);
        assert_eq!(queue.take(any), Some('b'));
        assert_eq!(queue.take(any), None);
        assert!(queue.order.is_empty());
    }
}
