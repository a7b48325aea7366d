//! Recognises calls that a client sends a second time.
//!
//! A client whose connection broke before it read its run id sends the call
//! again, and the tool must not run twice. A repetition is recognised by:
//!
//! * the idempotency key, if the client sent one: same key, same run;
//! * otherwise a heuristic: the body equals that of the session's last call,
//!   and the connection of that call broke before its response was complete,
//!   less than [`RETRY_WINDOW`] ago. If an agent means to repeat a call right
//!   after it closed the first connection, its call is taken for a repetition.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orwd_limiter::BytePermit;
use orwd_model::RunId;

use crate::api::principal::Principal;
use crate::api::request::RequestFingerprint;
use crate::runs::run::{Delivery, Run};

/// How long after a connection broke a repetition is expected.
const RETRY_WINDOW: Duration = Duration::from_secs(60);

/// The most idempotency keys of a session; the oldest are forgotten.
const MAX_KEYS: usize = 4096;

/// The memory of a key beside its text: the entries of a map and of a queue.
const KEY_OVERHEAD: usize = 160;

/// The calls of one session that may be sent again.
#[derive(Default)]
pub(crate) struct RetryTracker {
    last: Option<LastCall>,
    keys: HashMap<Arc<str>, (RunId, [u8; 32])>,
    /// The keys, the oldest first.
    oldest: VecDeque<Arc<str>>,
    /// What the keys are charged to.
    memory: Option<BytePermit<Principal>>,
    attached: u64,
}

struct LastCall {
    id: RunId,
    body: [u8; 32],
    delivery: Delivery,
    /// `None` if its result has left memory.
    run: Option<Run>,
}

/// The earlier call that a request repeats.
pub(crate) enum Match {
    /// The session's last call.
    LastRun(Run),
    /// An earlier call, whose result may have left memory.
    Earlier(RunId),
    /// A call with the same idempotency key and another body.
    Conflict,
}

impl RetryTracker {
    /// Finds the call that a request without a run id repeats; none if it is a
    /// new call.
    pub(crate) fn find(&mut self, fingerprint: &RequestFingerprint, now: Instant) -> Option<Match> {
        if let Some(key) = &fingerprint.key {
            let (id, body) = self.keys.get(key.as_str())?;
            if *body != fingerprint.body {
                return Some(Match::Conflict);
            }
            return Some(match &self.last {
                // It may not be announced yet, and so be nowhere else.
                Some(last) if last.id == *id => last.found(),
                _ => Match::Earlier(*id),
            });
        }
        let last = self.last.as_ref()?;
        if last.body != fingerprint.body || !is_retry_expected(&last.delivery, now) {
            return None;
        }
        self.attached += 1;
        Some(last.found())
    }

    /// Notes the latest call.
    pub(crate) fn record(&mut self, run: &Run, fingerprint: &RequestFingerprint) {
        self.last = Some(LastCall {
            id: run.id(),
            body: fingerprint.body,
            delivery: run.delivery(),
            run: Some(run.clone()),
        });
        self.record_key(run.id(), fingerprint);
    }

    /// Notes the idempotency key of an earlier call.
    pub(crate) fn record_key(&mut self, id: RunId, fingerprint: &RequestFingerprint) {
        let Some(key) = &fingerprint.key else {
            return;
        };
        let key: Arc<str> = key.as_str().into();
        let known = self
            .keys
            .insert(key.clone(), (id, fingerprint.body))
            .is_some();
        if known {
            return;
        }
        if self.keys.len() > MAX_KEYS {
            self.forget_oldest_key();
        }
        let size = KEY_OVERHEAD + key.len();
        if let Some(memory) = &mut self.memory
            && memory.grow(size).is_err()
        {
            // Another key of the session makes room, if it has any.
            memory.grow_over_limit(size);
            self.forget_oldest_key();
        }
        self.oldest.push_back(key);
    }

    fn forget_oldest_key(&mut self) {
        while let Some(key) = self.oldest.pop_front() {
            let size = KEY_OVERHEAD + key.len();
            if let Some(memory) = &mut self.memory {
                memory.shrink_to(memory.bytes().saturating_sub(size));
            }
            if self.keys.remove(&key).is_some() {
                return;
            }
        }
    }

    /// Sets what idempotency keys are charged to.
    pub(crate) fn charge_to(&mut self, memory: BytePermit<Principal>) {
        self.memory = Some(memory);
    }

    /// Drops the result of a call, which can still be recognised.
    pub(crate) fn release(&mut self, id: RunId) {
        if let Some(last) = self.last.as_mut().filter(|last| last.id == id) {
            last.run = None;
        }
    }

    /// Removes a call that has no result.
    pub(crate) fn remove(&mut self, id: RunId) {
        self.last = self.last.take().filter(|last| last.id != id);
        self.keys.retain(|_, (known, _)| *known != id);
    }

    /// Drops the last call if no repetition of it is expected any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.last.as_ref().is_some_and(|last| {
            last.delivery.is_delivered()
                || last
                    .delivery
                    .abandoned_at()
                    .is_some_and(|since| now.saturating_duration_since(since) >= RETRY_WINDOW)
        }) {
            self.last = None;
        }
    }

    /// Returns how many calls without an idempotency key were matched to an
    /// earlier one.
    pub(crate) fn attached(&self) -> u64 {
        self.attached
    }
}

impl LastCall {
    fn found(&self) -> Match {
        match &self.run {
            Some(run) => Match::LastRun(run.clone()),
            None => Match::Earlier(self.id),
        }
    }
}

fn is_retry_expected(delivery: &Delivery, now: Instant) -> bool {
    let since = delivery.abandoned_at();
    since.is_some_and(|since| now.saturating_duration_since(since) < RETRY_WINDOW)
}

#[cfg(test)]
mod tests {
    use orwd_limiter::ByteBudget;

    use super::*;

    fn run() -> Run {
        Run::new(RunId::random(), |_, outcome, _| drop(outcome))
    }

    fn body(byte: u8) -> RequestFingerprint {
        RequestFingerprint {
            body: [byte; 32],
            key: None,
        }
    }

    fn keyed(byte: u8, key: &str) -> RequestFingerprint {
        RequestFingerprint {
            key: Some(key.to_owned()),
            ..body(byte)
        }
    }

    fn name(found: &Option<Match>) -> &'static str {
        match found {
            None => "new",
            Some(Match::LastRun(_)) => "last run",
            Some(Match::Earlier(_)) => "earlier",
            Some(Match::Conflict) => "conflict",
        }
    }

    #[test]
    fn a_call_is_a_repetition_only_if_the_last_response_was_cut_off() {
        let now = Instant::now();
        let soon = now + RETRY_WINDOW / 2;
        let late = now + RETRY_WINDOW * 2;
        for (story, end, fingerprint, then, expected) in [
            ("not read yet", None, body(1), soon, "new"),
            ("read to its end", Some(true), body(1), soon, "new"),
            ("cut off", Some(false), body(1), soon, "last run"),
            ("another call", Some(false), body(2), soon, "new"),
            ("too late", Some(false), body(1), late, "new"),
            ("with a key", Some(false), keyed(1, "k"), soon, "new"),
        ] {
            let mut retries = RetryTracker::default();
            let run = run();
            retries.record(&run, &body(1));
            if let Some(delivered) = end {
                let mut reader = run.reader();
                if delivered {
                    reader.mark_delivered();
                }
            }
            assert_eq!(name(&retries.find(&fingerprint, then)), expected, "{story}");
            assert_eq!(retries.attached(), u64::from(expected == "last run"));
        }
    }

    #[test]
    fn no_repetition_is_expected_while_there_is_a_reader() {
        let mut retries = RetryTracker::default();
        let run = run();
        retries.record(&run, &body(1));
        drop(run.reader());
        let reader = run.reader();
        assert_eq!(name(&retries.find(&body(1), Instant::now())), "new");
        drop(reader);
        assert_eq!(name(&retries.find(&body(1), Instant::now())), "last run");
    }

    #[test]
    fn a_key_names_one_call() {
        let mut retries = RetryTracker::default();
        let first = run();
        retries.record(&first, &keyed(1, "k"));
        let mut reader = first.reader();
        reader.mark_delivered();
        retries.record(&run(), &keyed(2, "l"));
        for (fingerprint, expected) in [
            (keyed(1, "k"), "earlier"),
            (keyed(2, "k"), "conflict"),
            (keyed(2, "l"), "last run"),
            (keyed(1, "m"), "new"),
        ] {
            let found = retries.find(&fingerprint, Instant::now());
            assert_eq!(name(&found), expected);
        }
        assert_eq!(retries.attached(), 0, "a key is no heuristic");
    }

    #[test]
    fn a_call_whose_result_left_memory_is_still_recognised() {
        let mut retries = RetryTracker::default();
        let run = run();
        retries.record(&run, &keyed(1, "k"));
        drop(run.reader());
        retries.release(run.id());
        for fingerprint in [keyed(1, "k"), body(1)] {
            let found = retries.find(&fingerprint, Instant::now());
            assert!(matches!(found, Some(Match::Earlier(id)) if id == run.id()));
        }
    }

    #[test]
    fn the_oldest_keys_are_forgotten_when_there_are_too_many_or_no_memory() {
        let budget = ByteBudget::new(1 << 20, 1 << 20);
        let owner = Principal::Anyone;
        let mut retries = RetryTracker::default();
        retries.charge_to(budget.take_over_limit(&owner, 0));
        for n in 0..MAX_KEYS + 10 {
            retries.record_key(RunId::random(), &keyed(1, &format!("key-{n:06}")));
        }
        assert_eq!(
            (retries.keys.len(), retries.oldest.len()),
            (MAX_KEYS, MAX_KEYS)
        );
        assert_eq!(budget.used(), MAX_KEYS * (KEY_OVERHEAD + 10));
        assert!(
            retries
                .find(&keyed(1, "key-000009"), Instant::now())
                .is_none()
        );
        assert!(
            retries
                .find(&keyed(1, "key-000010"), Instant::now())
                .is_some()
        );
        // Others take the rest of the memory.
        let rest = budget.take_over_limit(&owner, (1 << 20) - budget.used());
        let used = budget.used();
        retries.record_key(RunId::random(), &keyed(1, "key-999999"));
        assert_eq!(budget.used(), used, "one key went for it");
        assert!(
            retries
                .find(&keyed(1, "key-999999"), Instant::now())
                .is_some()
        );
        let mut other = RetryTracker::default();
        other.charge_to(budget.take_over_limit(&owner, 0));
        for key in ["a", "b", "c"] {
            other.record_key(RunId::random(), &keyed(1, key));
        }
        assert_eq!(
            other.keys.keys().map(|key| &**key).collect::<Vec<_>>(),
            ["c"]
        );
        drop((rest, retries, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_last_call_is_dropped_once_no_repetition_is_expected() {
        let now = Instant::now();
        let mut retries = RetryTracker::default();
        let run = run();
        retries.record(&run, &body(1));
        retries.expire(now + RETRY_WINDOW * 9);
        assert!(retries.last.is_some(), "nobody has read it");
        drop(run.reader());
        retries.expire(now);
        assert!(retries.last.is_some());
        retries.expire(Instant::now() + RETRY_WINDOW);
        assert!(retries.last.is_none());
    }
}
