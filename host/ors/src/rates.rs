//! How often somebody may do what costs the server something: open sessions,
//! and try keys that are wrong.
//!
//! Everyone has a bucket of tokens that fills up at an even rate. The table of
//! buckets is bounded: a full one is as good as none and is forgotten, and
//! where there are too many others, newcomers share one.
//!
//! A right key is never refused for the wrong ones of its neighbours. That lets
//! nobody guess: a key has 256 random bits. What is bounded is what wrong keys
//! cost, the log above all.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::crowd::network;
use super::error::Failure;
use orwd_session::Principal;

/// So many have a bucket of their own at most.
const MOST: usize = 16 * 1024;

/// The time between two searches for full buckets.
const SWEEP: Duration = Duration::from_secs(1);

/// What may be saved up of creations, as a time at the full rate.
const SAVED: u32 = 10;

/// The time between two lines of the log about the same.
const REMINDER: Duration = Duration::from_secs(60);

/// The buckets of everyone who ever took a token lately.
#[derive(Debug)]
struct Buckets<K> {
    /// The time in which one token comes.
    gap: Duration,
    /// The time in which an empty bucket is full.
    depth: Duration,
    table: Mutex<Table<K>>,
}

/// A bucket is the moment at which it will be full.
#[derive(Debug)]
struct Table<K> {
    full_at: HashMap<K, Instant>,
    /// That of those who found no room.
    shared: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets for so many tokens, which get so many in that time.
    fn new(size: u32, tokens: u32, time: Duration) -> Buckets<K> {
        let gap = time / tokens.max(1);
        Buckets {
            gap,
            depth: gap * size.max(1),
            table: Mutex::new(Table {
                full_at: HashMap::new(),
                shared: None,
                swept: None,
            }),
        }
    }

    /// Takes a token, or says when there will be one.
    fn take(&self, who: K, now: Instant) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.make_room(&who, now);
        let full_at = if table.full_at.len() < MOST || table.full_at.contains_key(&who) {
            table.full_at.entry(who).or_insert(now)
        } else {
            table.shared.get_or_insert(now)
        };
        let then = (*full_at).max(now) + self.gap;
        match (then - now).checked_sub(self.depth) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = then;
                Ok(())
            }
        }
    }
}

impl<K: Eq + Hash> Table<K> {
    /// Forgets full buckets, if there is no room and it was not done just now.
    fn make_room(&mut self, who: &K, now: Instant) {
        let lately = self.swept.is_some_and(|swept| now - swept < SWEEP);
        if self.full_at.len() >= MOST && !lately && !self.full_at.contains_key(who) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
    }
}

/// Who opens sessions: the owner of a key, or else an address.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Opener {
    Key(Arc<str>),
    Address(IpAddr),
}

/// The rates of one server.
#[derive(Debug)]
pub(super) struct Rates {
    creations: Buckets<Opener>,
    wrong_keys: Buckets<IpAddr>,
    /// When the log was last told of wrong keys.
    told: Mutex<Option<Instant>>,
}

impl Rates {
    /// So many creations a second, and wrong keys a minute.
    pub(super) fn new(creations: u32, wrong_keys: u32) -> Rates {
        let saved = creations.saturating_mul(SAVED);
        Rates {
            creations: Buckets::new(saved, creations, Duration::from_secs(1)),
            wrong_keys: Buckets::new(wrong_keys, wrong_keys, Duration::from_secs(60)),
            told: Mutex::new(None),
        }
    }

    /// Whether a session may be opened now.
    pub(super) fn create(&self, who: &Principal, from: IpAddr) -> Result<(), Failure> {
        let opener = match who {
            Principal::Named(name) => Opener::Key(name.clone()),
            Principal::Anyone => Opener::Address(network(from)),
        };
        let taken = self.creations.take(opener, Instant::now());
        taken.map_err(Failure::TooManyCreations)
    }

    /// How a request with a wrong key is refused, or without one.
    pub(super) fn wrong_key(&self, from: IpAddr) -> Failure {
        let now = Instant::now();
        let Err(wait) = self.wrong_keys.take(network(from), now) else {
            return Failure::NoKey;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| now - told >= REMINDER) {
            tracing::warn!(address = %from, "as many wrong keys come from this address as may be");
            *told = Some(now);
        }
        Failure::TooManyWrongKeys(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_is_emptied_at_once_and_filled_evenly() {
        let buckets = Buckets::new(5, 2, SECOND);
        let start = Instant::now();
        let half = SECOND / 2;
        for _ in 0..5 {
            assert_eq!(buckets.take("a", start), Ok(()));
        }
        assert_eq!(buckets.take("a", start), Err(half));
        // To be refused costs nothing.
        assert_eq!(buckets.take("a", start + half / 2), Err(half / 2));
        assert_eq!(buckets.take("a", start + half), Ok(()));
        assert_eq!(buckets.take("a", start + half), Err(half));
        // Others have their own.
        assert_eq!(buckets.take("b", start), Ok(()));
        // No more is saved than there is room for.
        let later = start + SECOND * 1000;
        let taken = (0..10).filter(|_| buckets.take("a", later).is_ok()).count();
        assert_eq!(taken, 5);
    }

    #[test]
    fn the_table_does_not_grow() {
        let buckets = Buckets::new(2, 1, SECOND);
        let start = Instant::now();
        for who in 0..MOST {
            assert_eq!(buckets.take(who, start), Ok(()));
        }
        // Those without room share two tokens.
        let shared = (MOST..MOST + 10).map(|who| buckets.take(who, start));
        assert_eq!(shared.filter(Result::is_ok).count(), 2);
        // Those who have a bucket keep it.
        assert_eq!(buckets.take(7, start), Ok(()));
        assert!(buckets.take(7, start).is_err());
        // Once theirs are full, they are forgotten.
        let later = start + SECOND * 2;
        for who in 2 * MOST..3 * MOST {
            assert_eq!(buckets.take(who, later), Ok(()));
        }
        assert_eq!(buckets.table.lock().unwrap().full_at.len(), MOST);
    }

    #[test]
    fn a_key_has_its_own_rate_wherever_it_is_used() {
        let rates = Rates::new(1, 3);
        let addresses = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"];
        let [one, other, six, same_six] = addresses.map(|text| text.parse().unwrap());
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let empty = |who: &Principal, from: IpAddr| {
            (0..SAVED + 5)
                .filter(|_| rates.create(who, from).is_ok())
                .count()
        };
        assert_eq!(empty(&alice, one), 10);
        assert_eq!(empty(&alice, other), 0);
        assert_eq!(empty(&bob, one), 10);
        assert_eq!(empty(&Principal::Anyone, one), 10);
        assert_eq!(empty(&Principal::Anyone, six), 10);
        assert_eq!(empty(&Principal::Anyone, same_six), 0);

        let refusals: Vec<bool> = (0..5)
            .map(|_| matches!(rates.wrong_key(one), Failure::NoKey))
            .collect();
        assert_eq!(refusals, [true, true, true, false, false]);
        assert!(matches!(rates.wrong_key(other), Failure::NoKey));
    }
}
