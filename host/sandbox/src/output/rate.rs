//! How much guest output reaches the log each second.
//!
//! The process has one log. What all guests may write to it has a rate; one
//! owner gets at most half of it, and one session a quarter, so that no session
//! keeps others from the log. Bytes count as the log has them, with the parts
//! that the host adds to each line, so empty lines cost too. Whether a line is
//! logged never shows to the guest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes a second, if none are set.
const DEFAULT_RATE: u64 = 512 * 1024;

/// How many seconds of its rate may come at once.
const BURST: u64 = 16;

/// The parts of the rate that one owner and one session get.
const OWNER_PART: u64 = 2;
const SESSION_PART: u64 = 4;

/// The owners that have an allowance of their own; further ones share one.
const MAX_OWNERS: usize = 1024;

static RATE: LazyLock<GuestLogRate> = LazyLock::new(|| GuestLogRate::new(DEFAULT_RATE));

/// Sets how many bytes of guest output reach the log of this process each
/// second.
pub fn set_guest_log_rate(bytes: u64) {
    RATE.rate.store(bytes.max(1), Ordering::Relaxed);
}

/// The rate of the process.
#[derive(Debug)]
pub(crate) struct GuestLogRate {
    rate: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    all: Allowance,
    owners: HashMap<Arc<str>, Allowance>,
    others: Allowance,
}

/// What one part may still write: what it has used of its burst, which
/// decreases with time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    used: u64,
    at: Option<Instant>,
}

impl Allowance {
    /// Returns what is used now, at this rate.
    fn settle(&mut self, rate: u64, now: Instant) -> u64 {
        let passed = self.at.map_or(Duration::ZERO, |at| now - at);
        let nanos = u128::from(rate) * passed.as_nanos();
        let refilled = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        if refilled > 0 || self.at.is_none() {
            self.used = self.used.saturating_sub(refilled);
            self.at = Some(now);
        }
        self.used
    }
}

impl GuestLogRate {
    pub(crate) fn new(rate: u64) -> GuestLogRate {
        GuestLogRate {
            rate: AtomicU64::new(rate),
            shared: Mutex::default(),
        }
    }

    /// Returns the rate of the process.
    pub(crate) fn of_process() -> &'static GuestLogRate {
        &RATE
    }

    /// Takes this many bytes from the allowances of the session, its owner and
    /// the process; false, and nothing is taken, if one of them is used up.
    pub(crate) fn admit(
        &self,
        owner: &Arc<str>,
        session: &mut Allowance,
        bytes: u64,
        now: Instant,
    ) -> bool {
        let rate = self.rate.load(Ordering::Relaxed);
        let (of_owner, of_session) = (rate / OWNER_PART, rate / SESSION_PART);
        if session.settle(of_session, now) > of_session * BURST {
            return false;
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared {
            all,
            owners,
            others,
        } = &mut *shared;
        if owners.len() >= MAX_OWNERS && !owners.contains_key(owner) {
            owners.retain(|_, used| used.settle(of_owner, now) > 0);
        }
        let owner = if owners.len() < MAX_OWNERS || owners.contains_key(owner) {
            owners.entry(owner.clone()).or_default()
        } else {
            others
        };
        if owner.settle(of_owner, now) > of_owner * BURST || all.settle(rate, now) > rate * BURST {
            return false;
        }
        for allowance in [session, owner, all] {
            allowance.used = allowance.used.saturating_add(bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1000;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    /// Writes lines of ten bytes until one is refused; returns the bytes.
    fn fill(rate: &GuestLogRate, owner: &str, session: &mut Allowance, now: Instant) -> u64 {
        let lines = (0..10_000).take_while(|_| rate.admit(&name(owner), session, 10, now));
        lines.count() as u64 * 10
    }

    #[test]
    fn a_session_an_owner_and_all_have_their_parts() {
        let rate = GuestLogRate::new(RATE);
        let now = Instant::now();
        let mut sessions = [Allowance::default(); 8];
        let mut filled = |owner: &str, session: usize| {
            let line = 10;
            fill(&rate, owner, &mut sessions[session], now) / line * line
        };
        let near = |got: u64, part: u64| {
            let burst = RATE / part * BURST;
            assert!((burst..=burst + 10).contains(&got), "{got} of {burst}");
        };
        near(filled("a", 0), SESSION_PART);
        assert_eq!(filled("a", 0), 0);
        // The owner has half, so that two of its sessions use it up.
        near(filled("a", 1), SESSION_PART);
        assert!(filled("a", 2) <= 10);
        // Another owner is not affected, until all is used up.
        near(filled("b", 3), SESSION_PART);
        assert!(filled("b", 4) > RATE);
        assert_eq!(filled("c", 5), 0);
    }

    #[test]
    fn allowances_refill_with_time() {
        let rate = GuestLogRate::new(RATE);
        let start = Instant::now();
        let mut session = Allowance::default();
        fill(&rate, "a", &mut session, start);
        let second = start + Duration::from_secs(1);
        let refilled = fill(&rate, "a", &mut session, second);
        let part = RATE / SESSION_PART;
        assert!((part - 10..=part + 10).contains(&refilled), "{refilled}");
        // Many short times refill as much as a long one.
        let steps = 1..=1000;
        let refilled: u64 = steps
            .map(|ms| {
                let now = second + Duration::from_millis(ms);
                fill(&rate, "a", &mut session, now)
            })
            .sum();
        assert!((part - 20..=part + 20).contains(&refilled), "{refilled}");
    }

    #[test]
    fn owners_without_an_allowance_of_their_own_share_one() {
        let rate = GuestLogRate::new(1_000_000_000);
        let now = Instant::now();
        for number in 0..MAX_OWNERS * 2 {
            let owner = name(&number.to_string());
            assert!(rate.admit(&owner, &mut Allowance::default(), 1, now));
        }
        assert_eq!(rate.shared.lock().unwrap().owners.len(), MAX_OWNERS);
    }
}
