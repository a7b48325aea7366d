//! A budget of bytes: what all keys hold together, and what one key holds.
//!
//! A holder charges bytes before it allocates them and releases them when they
//! are freed, so the memory of a whole class of buffers has one bound. The share
//! of a key is smaller than the total, so that one key cannot take all of it.
//!
//! One permit counts as the share at most. What is larger is possible, but alone,
//! and has to have a bound of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are held, in total and by key.
#[derive(Debug)]
pub struct ByteBudget<K> {
    total: usize,
    per_key: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    total: usize,
    by_key: HashMap<K, usize>,
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
        self.charge(key, bytes)?;
        Ok(self.permit(key, bytes))
    }

    /// Charges bytes even if that exceeds a bound, for what exists already.
    pub fn take_over_limit(self: &Arc<Self>, key: &K, bytes: usize) -> BytePermit<K> {
        self.held().add(key, bytes);
        self.permit(key, bytes)
    }

    /// Returns whether a key may charge this many bytes now.
    pub fn check(&self, key: &K, bytes: usize) -> Result<(), BudgetExceeded> {
        self.held().check(self, key, bytes)
    }

    /// Returns the bytes that are held.
    pub fn used(&self) -> usize {
        self.held().total
    }

    /// Returns the bytes that a key holds.
    pub fn used_by(&self, key: &K) -> usize {
        self.held().by_key.get(key).copied().unwrap_or_default()
    }

    fn charge(&self, key: &K, bytes: usize) -> Result<(), BudgetExceeded> {
        let mut held = self.held();
        held.check(self, key, bytes)?;
        held.add(key, bytes);
        Ok(())
    }

    fn permit(self: &Arc<Self>, key: &K, bytes: usize) -> BytePermit<K> {
        BytePermit {
            budget: self.clone(),
            key: key.clone(),
            bytes,
        }
    }
}

impl<K> ByteBudget<K> {
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Held<K> {
    fn check(&self, budget: &ByteBudget<K>, key: &K, bytes: usize) -> Result<(), BudgetExceeded> {
        let of_key = self.by_key.get(key).copied().unwrap_or_default();
        if of_key.saturating_add(bytes) > budget.per_key {
            return Err(BudgetExceeded::Key(budget.per_key));
        }
        if self.total.saturating_add(bytes) > budget.total {
            return Err(BudgetExceeded::Total(budget.total));
        }
        Ok(())
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
        self.budget.charge(&self.key, bytes)?;
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
        if let Some(released) = self.bytes.checked_sub(bytes) {
            self.budget.held().remove(&self.key, released);
            self.bytes = bytes;
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
