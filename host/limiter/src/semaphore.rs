//! A semaphore per key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts permits per key; a key without permits takes no memory.
#[derive(Debug)]
pub struct KeyedSemaphore<K> {
    limit: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// One of a key's permits; dropping it releases it.
#[derive(Debug)]
pub struct KeyedPermit<K: Eq + Hash + Clone> {
    semaphore: Arc<KeyedSemaphore<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> KeyedSemaphore<K> {
    /// Creates a semaphore that gives each key up to `limit` permits.
    pub fn new(limit: usize) -> Arc<KeyedSemaphore<K>> {
        Arc::new(KeyedSemaphore {
            limit,
            held: Mutex::new(HashMap::new()),
        })
    }

    /// Takes a permit; `None` if the key holds as many as the limit.
    pub fn try_acquire(self: &Arc<Self>, key: K) -> Option<KeyedPermit<K>> {
        self.try_acquire_below(key, self.limit)
    }

    /// Takes a permit; `None` if the key holds as many as the limit, or as this one,
    /// which may differ from time to time.
    pub fn try_acquire_below(self: &Arc<Self>, key: K, limit: usize) -> Option<KeyedPermit<K>> {
        let mut held = self.held();
        let count = held.get(&key).copied().unwrap_or_default();
        if count >= self.limit.min(limit) {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(self.permit(key))
    }

    /// Takes a permit even if that exceeds the limit.
    pub fn acquire_over_limit(self: &Arc<Self>, key: K) -> KeyedPermit<K> {
        *self.held().entry(key.clone()).or_default() += 1;
        self.permit(key)
    }

    /// Returns whether no key holds a permit.
    pub fn is_unused(&self) -> bool {
        self.held().is_empty()
    }

    fn permit(self: &Arc<Self>, key: K) -> KeyedPermit<K> {
        KeyedPermit {
            semaphore: self.clone(),
            key,
        }
    }
}

impl<K> KeyedSemaphore<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.semaphore.held().entry(self.key.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_permits() {
        let semaphore = KeyedSemaphore::new(2);
        let first = semaphore.try_acquire("alice");
        let second = semaphore.try_acquire("alice");
        assert!(first.is_some() && second.is_some());
        assert!(semaphore.try_acquire("alice").is_none());
        let other = semaphore.try_acquire("bob");
        assert!(other.is_some());
        drop(first);
        let third = semaphore.try_acquire("alice");
        assert!(third.is_some());
        assert!(semaphore.try_acquire("alice").is_none());
        drop((second, third, other));
        assert!(semaphore.is_unused());
    }

    #[test]
    fn permits_over_the_limit_count() {
        let semaphore = KeyedSemaphore::new(1);
        let first = semaphore.acquire_over_limit(1);
        let second = semaphore.acquire_over_limit(1);
        drop(first);
        assert!(semaphore.try_acquire(1).is_none());
        drop(second);
        assert!(semaphore.try_acquire(1).is_some());
        assert!(semaphore.is_unused());
    }

    #[test]
    fn the_lower_of_two_limits_counts() {
        let semaphore = KeyedSemaphore::new(2);
        let first = semaphore.try_acquire_below(1, 1);
        assert!(first.is_some() && semaphore.try_acquire_below(1, 1).is_none());
        let second = semaphore.try_acquire_below(1, 9);
        assert!(second.is_some() && semaphore.try_acquire_below(1, 9).is_none());
        assert!(semaphore.try_acquire_below(2, 1).is_some());
    }

    #[test]
    fn a_limit_of_zero_refuses() {
        let semaphore = KeyedSemaphore::new(0);
        assert!(semaphore.try_acquire(1).is_none());
        assert!(semaphore.is_unused());
    }
}
