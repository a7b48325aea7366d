//! A token bucket per key.
//!
//! The table of buckets is bounded. A full bucket is the same as none and is
//! evicted; once the table holds too many others, further keys share one bucket.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of keys that have a bucket of their own.
const MAX_KEYS: usize = 16 * 1024;

/// The time between two searches for full buckets.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Token buckets by key, all of one size and refill rate.
#[derive(Debug)]
pub struct KeyedRateLimiter<K> {
    /// The time in which one token is refilled.
    refill_interval: Duration,
    /// The time in which an empty bucket is refilled.
    refill_time: Duration,
    buckets: Mutex<Buckets<K>>,
}

/// A bucket is stored as the moment at which it will be full.
#[derive(Debug)]
struct Buckets<K> {
    full_at: HashMap<K, Instant>,
    /// The bucket of all keys for which the table has no space.
    shared: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash> KeyedRateLimiter<K> {
    /// Creates a limiter whose buckets hold `burst` tokens and get `tokens` per
    /// `period`.
    pub fn new(burst: u32, tokens: u32, period: Duration) -> KeyedRateLimiter<K> {
        let refill_interval = period / tokens.max(1);
        KeyedRateLimiter {
            refill_interval,
            refill_time: refill_interval * burst.max(1),
            buckets: Mutex::new(Buckets {
                full_at: HashMap::new(),
                shared: None,
                swept: None,
            }),
        }
    }

    /// Takes a token. An error is the time until the next token; a refusal
    /// takes nothing.
    pub fn try_take(&self, key: K, now: Instant) -> Result<(), Duration> {
        self.try_take_many(key, 1, now)
    }

    /// Takes this many tokens or none. An error is the time until there are as
    /// many; more than a bucket holds are never there.
    pub fn try_take_many(&self, key: K, tokens: u32, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.sweep_if_full(&key, now);
        let full_at = if buckets.full_at.len() < MAX_KEYS || buckets.full_at.contains_key(&key) {
            buckets.full_at.entry(key).or_insert(now)
        } else {
            buckets.shared.get_or_insert(now)
        };
        let full_after = (*full_at).max(now) + self.refill_interval * tokens;
        match (full_after - now).checked_sub(self.refill_time) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = full_after;
                Ok(())
            }
        }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Evicts full buckets if there is no space for a new key, at most once per
    /// [`SWEEP_INTERVAL`].
    fn sweep_if_full(&mut self, key: &K, now: Instant) {
        let recently = self.swept.is_some_and(|swept| now - swept < SWEEP_INTERVAL);
        if self.full_at.len() >= MAX_KEYS && !recently && !self.full_at.contains_key(key) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn allows_a_burst_and_refills_evenly() {
        let limiter = KeyedRateLimiter::new(5, 2, SECOND);
        let start = Instant::now();
        let half = SECOND / 2;
        for _ in 0..5 {
            assert_eq!(limiter.try_take("a", start), Ok(()));
        }
        assert_eq!(limiter.try_take("a", start), Err(half));
        // A refusal takes nothing.
        assert_eq!(limiter.try_take("a", start + half / 2), Err(half / 2));
        assert_eq!(limiter.try_take("a", start + half), Ok(()));
        assert_eq!(limiter.try_take("a", start + half), Err(half));
        // Another key has its own bucket.
        assert_eq!(limiter.try_take("b", start), Ok(()));
        // A bucket never holds more than the burst.
        let later = start + SECOND * 1000;
        let taken = (0..10)
            .filter(|_| limiter.try_take("a", later).is_ok())
            .count();
        assert_eq!(taken, 5);
    }

    #[test]
    fn many_tokens_are_taken_together_or_not_at_all() {
        let limiter = KeyedRateLimiter::new(5, 1, SECOND);
        let start = Instant::now();
        assert_eq!(limiter.try_take_many("a", 6, start), Err(SECOND));
        assert_eq!(limiter.try_take_many("a", 4, start), Ok(()));
        assert_eq!(limiter.try_take_many("a", 3, start), Err(2 * SECOND));
        assert_eq!(limiter.try_take("a", start), Ok(()));
        assert!(limiter.try_take("a", start).is_err());
    }

    #[test]
    fn the_table_is_bounded() {
        let limiter = KeyedRateLimiter::new(2, 1, SECOND);
        let start = Instant::now();
        for key in 0..MAX_KEYS {
            assert_eq!(limiter.try_take(key, start), Ok(()));
        }
        // Keys without a bucket of their own share two tokens.
        let shared = (MAX_KEYS..MAX_KEYS + 10).map(|key| limiter.try_take(key, start));
        assert_eq!(shared.filter(Result::is_ok).count(), 2);
        // Keys with a bucket keep it.
        assert_eq!(limiter.try_take(7, start), Ok(()));
        assert!(limiter.try_take(7, start).is_err());
        // Full buckets are evicted.
        let later = start + SECOND * 2;
        for key in 2 * MAX_KEYS..3 * MAX_KEYS {
            assert_eq!(limiter.try_take(key, later), Ok(()));
        }
        assert_eq!(limiter.buckets.lock().unwrap().full_at.len(), MAX_KEYS);
    }
}
