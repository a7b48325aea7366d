//! Work that waits for a part of a shared amount, fairly by key.
//!
//! The next to be admitted is the key that holds the least, of those that hold the
//! same the one that was admitted longest ago, and of its waiters the first. So a key with many waiters delays its own work and not that of
//! others. An amount that does not fit yet is waited for, and nothing overtakes
//! it, so a large piece of work is not starved by small ones.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A shared amount, and who waits for it.
#[derive(Debug)]
pub struct FairQueue<K: Eq + Hash + Clone> {
    total: usize,
    per_key: usize,
    max_waiting: usize,
    state: Mutex<QueueState<K>>,
}

#[derive(Debug)]
struct QueueState<K: Eq + Hash + Clone> {
    held: usize,
    held_by_key: HashMap<K, usize>,
    /// The number of the last admission of each key that holds something or waits.
    admitted: HashMap<K, u64>,
    admissions: u64,
    /// In order of arrival.
    waiting: VecDeque<Waiter<K>>,
}

#[derive(Debug)]
struct Waiter<K: Eq + Hash + Clone> {
    key: K,
    amount: usize,
    admitted: oneshot::Sender<FairPermit<K>>,
}

/// A part of the amount; dropping it admits others.
#[derive(Debug)]
pub struct FairPermit<K: Eq + Hash + Clone> {
    queue: Arc<FairQueue<K>>,
    key: K,
    amount: usize,
}

/// As many as may are waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl<K: Eq + Hash + Clone> FairQueue<K> {
    /// Creates a queue for `total`, of which a key holds at most `per_key`. At
    /// most `max_waiting` wait, and half as many of one key.
    pub fn new(total: usize, per_key: usize, max_waiting: usize) -> Arc<FairQueue<K>> {
        Arc::new(FairQueue {
            total: total.max(1),
            per_key: per_key.clamp(1, total.max(1)),
            max_waiting,
            state: Mutex::new(QueueState {
                held: 0,
                held_by_key: HashMap::new(),
                admitted: HashMap::new(),
                admissions: 0,
                waiting: VecDeque::new(),
            }),
        })
    }

    /// Waits for this amount; a larger one than a key may hold counts as that
    /// much. Cancel-safe.
    pub async fn acquire(
        self: &Arc<Self>,
        key: &K,
        amount: usize,
    ) -> Result<FairPermit<K>, QueueFull> {
        let (admitted, permit) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.admitted.is_closed());
            let of_key = state.waiting.iter().filter(|waiter| waiter.key == *key);
            let of_key = of_key.count();
            if state.waiting.len() >= self.max_waiting || of_key >= self.max_waiting.div_ceil(2) {
                return Err(QueueFull);
            }
            state.waiting.push_back(Waiter {
                key: key.clone(),
                amount: amount.clamp(1, self.per_key),
                admitted,
            });
        }
        self.admit();
        permit.await.map_err(|_| QueueFull)
    }

    /// Returns how many wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Returns the amount that is held.
    pub fn held(&self) -> usize {
        self.state().held
    }

    /// Admits those that fit.
    fn admit(self: &Arc<Self>) {
        loop {
            let next = self.state().next(self.total, self.per_key);
            let Some(waiter) = next else {
                return;
            };
            // Sent without the lock: if the receiver has just gone, the permit
            // is dropped here, which takes the lock.
            let _ = waiter.admitted.send(FairPermit {
                queue: self.clone(),
                key: waiter.key,
                amount: waiter.amount,
            });
        }
    }

    fn release(self: &Arc<Self>, key: &K, amount: usize) {
        {
            let mut state = self.state();
            state.held = state.held.saturating_sub(amount);
            if let Some(of_key) = state.held_by_key.get_mut(key) {
                *of_key = of_key.saturating_sub(amount);
                if *of_key == 0 {
                    state.held_by_key.remove(key);
                    if state.waiting.iter().all(|waiter| waiter.key != *key) {
                        state.admitted.remove(key);
                    }
                }
            }
        }
        self.admit();
    }
}

impl<K: Eq + Hash + Clone> FairQueue<K> {
    fn state(&self) -> MutexGuard<'_, QueueState<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> QueueState<K> {
    /// Takes the next waiter out of the queue and charges its amount.
    fn next(&mut self, total: usize, per_key: usize) -> Option<Waiter<K>> {
        self.waiting.retain(|waiter| !waiter.admitted.is_closed());
        if self.admitted.len() > self.held_by_key.len() + self.waiting.len() {
            let waits = |key: &K| self.waiting.iter().any(|waiter| waiter.key == *key);
            let held = &self.held_by_key;
            self.admitted
                .retain(|key, _| held.contains_key(key) || waits(key));
        }
        let held_by = |key: &K| self.held_by_key.get(key).copied().unwrap_or_default();
        let eligible = self.waiting.iter().enumerate().filter_map(|(at, waiter)| {
            let held = held_by(&waiter.key);
            let admitted = self.admitted.get(&waiter.key).copied().unwrap_or_default();
            (held + waiter.amount <= per_key).then_some((held, admitted, at))
        });
        let (_, _, at) = eligible.min()?;
        if self.held + self.waiting.get(at)?.amount > total {
            return None;
        }
        let waiter = self.waiting.remove(at)?;
        self.held += waiter.amount;
        self.admissions += 1;
        self.admitted.insert(waiter.key.clone(), self.admissions);
        *self.held_by_key.entry(waiter.key.clone()).or_default() += waiter.amount;
        Some(waiter)
    }
}

impl<K: Eq + Hash + Clone> FairPermit<K> {
    /// Releases all but this amount.
    pub fn shrink_to(&mut self, amount: usize) {
        if let Some(released) = self.amount.checked_sub(amount)
            && released > 0
        {
            self.amount = amount;
            self.queue.release(&self.key, released);
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for FairPermit<K> {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A waiter of its own, which can be polled.
    type Acquire<'q> = Pin<Box<dyn Future<Output = Result<FairPermit<i32>, QueueFull>> + 'q>>;

    fn acquire(queue: &Arc<FairQueue<i32>>, key: i32, amount: usize) -> Acquire<'_> {
        Box::pin(async move { queue.acquire(&key, amount).await })
    }

    /// Polls once.
    fn poll(waiter: &mut Acquire<'_>) -> Option<Result<FairPermit<i32>, QueueFull>> {
        match waiter
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Takes an amount that is free.
    fn take(queue: &Arc<FairQueue<i32>>, key: i32, amount: usize) -> FairPermit<i32> {
        poll(&mut acquire(queue, key, amount))
            .expect("it is free")
            .unwrap()
    }

    const ALICE: i32 = 1;
    const BOB: i32 = 2;

    #[test]
    fn the_key_that_holds_the_least_is_next() {
        let queue = FairQueue::new(2, 2, 100);
        let (first, second) = (take(&queue, ALICE, 1), take(&queue, ALICE, 1));
        let mut more: Vec<Acquire<'_>> = (0..5).map(|_| acquire(&queue, ALICE, 1)).collect();
        assert!(more.iter_mut().all(|waiter| poll(waiter).is_none()));
        let mut bob = acquire(&queue, BOB, 1);
        assert!(poll(&mut bob).is_none());
        drop(first);
        let bob = poll(&mut bob).expect("bob holds less").unwrap();
        assert!(more.iter_mut().all(|waiter| poll(waiter).is_none()));
        drop(second);
        assert!(poll(&mut more[0]).is_some(), "then the first that waits");
        drop((bob, more));
        assert_eq!((queue.held(), queue.waiting()), (0, 0));
    }

    #[test]
    fn keys_take_turns_where_only_one_is_admitted() {
        let queue = FairQueue::new(1, 1, 100);
        let mut held = Some(take(&queue, ALICE, 1));
        let mut waiters: Vec<(i32, Acquire<'_>)> = [ALICE, ALICE, ALICE, BOB, BOB]
            .map(|key| (key, acquire(&queue, key, 1)))
            .into();
        for (_, waiter) in &mut waiters {
            assert!(poll(waiter).is_none());
        }
        let mut order = Vec::new();
        while !waiters.is_empty() {
            drop(held.take());
            let admitted = waiters.iter_mut().enumerate();
            let (at, permit) = admitted
                .filter_map(|(at, (_, waiter))| Some((at, poll(waiter)?.unwrap())))
                .next()
                .expect("the next is admitted");
            order.push(waiters.remove(at).0);
            held = Some(permit);
        }
        assert_eq!(order, [BOB, ALICE, BOB, ALICE, ALICE]);
        drop(held);
        assert!(
            queue.state().admitted.is_empty(),
            "those that left are forgotten"
        );
    }

    #[test]
    fn a_large_amount_is_not_overtaken() {
        let queue = FairQueue::new(10, 10, 100);
        let small = take(&queue, 1, 1);
        let mut large = acquire(&queue, 2, 1000);
        let mut later = acquire(&queue, 3, 1);
        assert!(poll(&mut large).is_none() && poll(&mut later).is_none());
        drop(small);
        let large = poll(&mut large).unwrap().unwrap();
        assert_eq!(queue.held(), 10, "counted as the whole");
        assert!(poll(&mut later).is_none());
        drop(large);
        assert!(poll(&mut later).is_some());
    }

    #[test]
    fn a_key_does_not_wait_for_the_share_of_another() {
        let queue = FairQueue::new(10, 5, 100);
        let held = take(&queue, ALICE, 5);
        let mut waits = acquire(&queue, ALICE, 1);
        assert!(poll(&mut waits).is_none());
        drop(take(&queue, BOB, 5));
        assert!(poll(&mut waits).is_none());
        drop(held);
        assert!(poll(&mut waits).is_some());
    }

    #[test]
    fn waiting_is_bounded_and_those_that_leave_are_forgotten() {
        let queue = FairQueue::new(1, 1, 4);
        let mut held = take(&queue, ALICE, 1);
        let mut waiters: Vec<Acquire<'_>> = [ALICE, ALICE, BOB]
            .map(|key| acquire(&queue, key, 1))
            .into();
        assert!(waiters.iter_mut().all(|waiter| poll(waiter).is_none()));
        let refused = poll(&mut acquire(&queue, ALICE, 1)).unwrap();
        assert_eq!(refused.unwrap_err(), QueueFull, "half of the places");
        waiters.push(acquire(&queue, BOB, 1));
        assert!(poll(&mut waiters[3]).is_none());
        let refused = poll(&mut acquire(&queue, 3, 1)).unwrap();
        assert_eq!(refused.unwrap_err(), QueueFull, "all places");
        waiters.truncate(1);
        assert!(poll(&mut acquire(&queue, 3, 1)).is_none(), "it may wait");
        waiters.clear();
        held.shrink_to(0);
        drop(take(&queue, 3, 1));
        drop(held);
        assert_eq!(queue.held(), 0);
    }
}
