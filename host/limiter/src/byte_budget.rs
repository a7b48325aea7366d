//! A budget of bytes: what all keys hold together, and what one key holds.
//!
//! A holder charges bytes before it allocates them and releases them when they
//! are freed, so the memory of a whole class of buffers has one bound. The share
//! of a key is smaller than the total: a key gets the same part of what the others
//! leave, for instance a half, then half of the other half. So no number of keys
//! that take what they can leaves nothing for the next one. A key that holds
//! nothing else may take all that is free, up to the first share.
//!
//! One permit counts as the share at most. What is larger is possible, but alone,
//! and has to have a bound of its own.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Bytes that are held, in total and by key.
#[derive(Debug)]
pub struct ByteBudget<K: Eq + Hash + Clone> {
    total: usize,
    per_key: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K: Eq + Hash + Clone> {
    total: usize,
    by_key: HashMap<K, usize>,
    /// In order of arrival.
    waiting: VecDeque<Waiter<K>>,
}

#[derive(Debug)]
struct Waiter<K: Eq + Hash + Clone> {
    key: K,
    bytes: usize,
    admitted: oneshot::Sender<BytePermit<K>>,
}

/// Charged bytes; dropping the permit releases them.
#[derive(Debug)]
pub struct BytePermit<K: Eq + Hash + Clone> {
    budget: Arc<ByteBudget<K>>,
    key: K,
    bytes: usize,
}

/// Which bound a charge exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetExceeded {
    /// The share of the key; the amount.
    Key(usize),
    /// The total of all keys; the amount.
    Total(usize),
}

impl<K: Eq + Hash + Clone> ByteBudget<K> {
    /// Creates a budget of `total` bytes, of which a key holds at most `per_key`.
    pub fn new(total: usize, per_key: usize) -> Arc<ByteBudget<K>> {
        Arc::new(ByteBudget {
            total,
            per_key: per_key.min(total),
            held: Mutex::new(Held {
                total: 0,
                by_key: HashMap::new(),
                waiting: VecDeque::new(),
            }),
        })
    }

    /// Charges bytes to a key.
    pub fn try_take(
        self: &Arc<Self>,
        key: &K,
        bytes: usize,
    ) -> Result<BytePermit<K>, BudgetExceeded> {
        let bytes = bytes.min(self.per_key);
        self.charge(key, bytes, 0)?;
        Ok(self.permit(key, bytes))
    }

    /// Begins to wait until the bytes can be charged to the key: its place is in the
    /// order of arrival, after the waiters of keys that hold less.
    pub fn take(
        self: &Arc<Self>,
        key: &K,
        bytes: usize,
    ) -> impl Future<Output = BytePermit<K>> + Send + use<K>
    where
        K: Send,
    {
        let (admitted, permit) = oneshot::channel();
        let (budget, key, bytes) = (self.clone(), key.clone(), bytes.min(self.per_key));
        let waiter = Waiter {
            key: key.clone(),
            bytes,
            admitted,
        };
        {
            let mut held = self.held();
            held.waiting.retain(|waiter| !waiter.admitted.is_closed());
            held.waiting.push_back(waiter);
        }
        self.admit();
        async move {
            // Waiters are not dropped while their budget exists.
            let admitted = permit.await;
            admitted.unwrap_or_else(|_| budget.take_over_limit(&key, bytes))
        }
    }

    /// Returns whether this key waits for bytes.
    pub fn is_awaited_by(&self, key: &K) -> bool {
        let held = self.held();
        let mut waiting = held.waiting.iter();
        waiting.any(|waiter| waiter.key == *key && !waiter.admitted.is_closed())
    }

    /// Returns the keys that wait, each with the bound that it waits for.
    pub fn waiting(&self) -> Vec<(K, BudgetExceeded)> {
        let held = self.held();
        let mut keys: HashMap<&K, BudgetExceeded> = HashMap::new();
        for waiter in &held.waiting {
            if !waiter.admitted.is_closed()
                && let Err(exceeded) = held.check(self, &waiter.key, waiter.bytes, 0)
            {
                keys.entry(&waiter.key).or_insert(exceeded);
            }
        }
        let keys = keys.into_iter();
        keys.map(|(key, exceeded)| (key.clone(), exceeded))
            .collect()
    }

    /// Charges bytes even if that exceeds a bound, for what exists already.
    pub fn take_over_limit(self: &Arc<Self>, key: &K, bytes: usize) -> BytePermit<K> {
        self.held().add(key, bytes);
        self.permit(key, bytes)
    }

    /// Returns whether a key may charge this many bytes now.
    pub fn check(&self, key: &K, bytes: usize) -> Result<(), BudgetExceeded> {
        self.held().check(self, key, bytes, 0)
    }

    /// Returns the bytes that are held.
    pub fn used(&self) -> usize {
        self.held().total
    }

    /// Returns the bytes that a key holds.
    pub fn used_by(&self, key: &K) -> usize {
        self.held().by_key.get(key).copied().unwrap_or_default()
    }

    fn charge(&self, key: &K, bytes: usize, own: usize) -> Result<(), BudgetExceeded> {
        let mut held = self.held();
        held.check(self, key, bytes, own)?;
        held.add(key, bytes);
        Ok(())
    }

    /// Admits the waiters whose bytes are free, of the key that holds the least first.
    fn admit(self: &Arc<Self>) {
        loop {
            let next = self.held().next(self);
            let Some(waiter) = next else {
                return;
            };
            // Sent without the lock: if the receiver has just gone, the permit is
            // dropped here, which takes the lock.
            let permit = self.permit(&waiter.key, waiter.bytes);
            let _ = waiter.admitted.send(permit);
        }
    }

    fn permit(self: &Arc<Self>, key: &K, bytes: usize) -> BytePermit<K> {
        BytePermit {
            budget: self.clone(),
            key: key.clone(),
            bytes,
        }
    }
}

impl<K: Eq + Hash + Clone> ByteBudget<K> {
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Held<K> {
    /// Checks a charge to a key, by a permit that holds `own` bytes of it.
    fn check(
        &self,
        budget: &ByteBudget<K>,
        key: &K,
        bytes: usize,
        own: usize,
    ) -> Result<(), BudgetExceeded> {
        let held = self.by_key.get(key).copied().unwrap_or_default();
        let wanted = held.saturating_add(bytes);
        if wanted > budget.per_key {
            return Err(BudgetExceeded::Key(budget.per_key));
        }
        let left_by_others = budget.total.saturating_sub(self.total - held);
        let share = left_by_others as u128 * budget.per_key as u128 / budget.total.max(1) as u128;
        let is_alone = held == own && wanted <= left_by_others;
        if wanted as u128 > share && !is_alone {
            return Err(BudgetExceeded::Total(budget.total));
        }
        Ok(())
    }

    /// Takes the next waiter whose bytes are free, and charges them.
    fn next(&mut self, budget: &ByteBudget<K>) -> Option<Waiter<K>> {
        self.waiting.retain(|waiter| !waiter.admitted.is_closed());
        let held_by = |key: &K| self.by_key.get(key).copied().unwrap_or_default();
        let free = |waiter: &Waiter<K>| self.check(budget, &waiter.key, waiter.bytes, 0).is_ok();
        let waiting = self.waiting.iter().enumerate();
        let free = waiting.filter(|(_, waiter)| free(waiter));
        let next = free.map(|(at, waiter)| (held_by(&waiter.key), at)).min();
        let waiter = self.waiting.remove(next?.1)?;
        self.add(&waiter.key, waiter.bytes);
        Some(waiter)
    }

    fn add(&mut self, key: &K, bytes: usize) {
        if bytes > 0 {
            *self.by_key.entry(key.clone()).or_default() += bytes;
            self.total += bytes;
        }
    }

    fn remove(&mut self, key: &K, bytes: usize) {
        self.total = self.total.saturating_sub(bytes);
        if let Entry::Occupied(mut of_key) = self.by_key.entry(key.clone()) {
            *of_key.get_mut() = of_key.get().saturating_sub(bytes);
            if *of_key.get() == 0 {
                of_key.remove();
            }
        }
    }
}

impl<K: Eq + Hash + Clone> BytePermit<K> {
    /// Returns the charged bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges more bytes.
    pub fn grow(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        let bytes = bytes.min(self.budget.per_key.saturating_sub(self.bytes));
        self.budget.charge(&self.key, bytes, self.bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Charges more bytes even if that exceeds a bound.
    pub fn grow_over_limit(&mut self, bytes: usize) {
        self.budget.held().add(&self.key, bytes);
        self.bytes += bytes;
    }

    /// Releases all but this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(released) = self.bytes.checked_sub(bytes)
            && released > 0
        {
            self.bytes = bytes;
            self.budget.held().remove(&self.key, released);
            self.budget.admit();
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for BytePermit<K> {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_its_share_and_all_keys_the_total() {
        let budget = ByteBudget::new(100, 60);
        let first = budget.try_take(&"alice", 60).unwrap();
        assert_eq!(
            budget.try_take(&"alice", 1).unwrap_err(),
            BudgetExceeded::Key(60)
        );
        assert_eq!(
            budget.try_take(&"bob", 41).unwrap_err(),
            BudgetExceeded::Total(100)
        );
        let other = budget.try_take(&"bob", 40).unwrap();
        assert_eq!((budget.used(), budget.used_by(&"bob")), (100, 40));
        drop(first);
        assert!(budget.check(&"carol", 60).is_ok());
        assert_eq!(budget.check(&"carol", 61), Err(BudgetExceeded::Key(60)));
        drop(other);
        assert_eq!(budget.used(), 0);
        assert!(budget.held().by_key.is_empty());
    }

    #[test]
    fn a_permit_grows_within_the_bounds_and_shrinks() {
        let budget = ByteBudget::new(100, 100);
        let other = budget.try_take(&1, 5).unwrap();
        let mut permit = budget.try_take(&1, 10).unwrap();
        permit.grow(80).unwrap();
        assert_eq!(permit.grow(6), Err(BudgetExceeded::Key(100)));
        assert_eq!(permit.bytes(), 90);
        permit.shrink_to(200);
        permit.shrink_to(30);
        assert_eq!((budget.used(), permit.bytes()), (35, 30));
        drop(other);
        permit.grow_over_limit(500);
        assert!(budget.check(&2, 1).is_err());
        drop(permit);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_charge_over_the_limit_counts() {
        let budget = ByteBudget::new(10, 10);
        let over = budget.take_over_limit(&'a', 25);
        assert_eq!(budget.used(), 25);
        assert!(budget.try_take(&'b', 1).is_err());
        drop(over);
        assert!(budget.try_take(&'b', 10).is_ok());
    }

    #[test]
    fn keys_that_take_what_they_can_leave_some_for_the_next() {
        let budget = ByteBudget::new(1000, 500);
        let mut permits = Vec::new();
        let mut shares = Vec::new();
        for key in 0..5 {
            while let Ok(permit) = budget.try_take(&key, 5) {
                permits.push(permit);
            }
            shares.push(budget.used_by(&key));
        }
        assert_eq!(shares, [500, 250, 125, 60, 30]);
        assert!(matches!(
            budget.try_take(&1, 5),
            Err(BudgetExceeded::Total(1000))
        ));
        let mut alone = budget.try_take(&9, 20).unwrap();
        alone.grow(15).unwrap();
        assert!(alone.grow(1).is_err(), "all that is free");
        drop(permits);
        assert_eq!(budget.used(), 35);
    }

    #[tokio::test]
    async fn who_waits_is_admitted_when_there_is_space_and_the_one_with_the_least_first() {
        let budget = ByteBudget::new(100, 50);
        let mut held = budget.try_take(&"alice", 50).unwrap();
        let other = budget.try_take(&"bob", 45).unwrap();
        let alices: Vec<_> = (0..3).map(|_| budget.take(&"alice", 20)).collect();
        let left = budget.take(&"carol", 30);
        drop(left);
        let bobs = tokio::spawn(budget.take(&"bob", 5));
        let waits = |key| budget.is_awaited_by(&key);
        assert!(waits("alice") && !waits("carol"));
        assert!(
            budget
                .waiting()
                .contains(&("alice", BudgetExceeded::Key(50)))
        );
        held.shrink_to(49);
        assert!(waits("alice"), "nobody gets less than it waits for");
        drop(other);
        assert_eq!(bobs.await.unwrap().bytes(), 5);
        drop(held);
        let mut alices = alices.into_iter();
        let first = alices.next().unwrap().await;
        let second = alices.next().unwrap().await;
        assert!(waits("alice"), "the share is taken");
        drop(first);
        let third = alices.next().unwrap().await;
        assert_eq!(budget.used(), 40);
        drop((second, third));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_larger_than_the_share_is_possible_alone() {
        let budget = ByteBudget::new(20, 10);
        let mut large = budget.try_take(&1, usize::MAX).unwrap();
        large.grow(usize::MAX).unwrap();
        assert_eq!((budget.used(), large.bytes()), (10, 10));
        assert!(budget.try_take(&1, 1).is_err());
        drop(large);
        let _small = budget.try_take(&1, 1).unwrap();
        assert!(budget.try_take(&1, usize::MAX).is_err());
    }
}
