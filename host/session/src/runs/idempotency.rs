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

use std::collections::HashMap;
use std::time::{Duration, Instant};

use orwd_model::RunId;

use crate::api::request::RequestFingerprint;
use crate::runs::run::Run;

/// How long after a connection broke a repetition is expected.
const RETRY_WINDOW: Duration = Duration::from_secs(60);

/// The calls of one session that may be sent again.
#[derive(Default)]
pub(crate) struct RetryTracker {
    last: Option<LastCall>,
    keys: HashMap<Box<str>, (RunId, [u8; 32])>,
    attached: u64,
}

struct LastCall {
    run: Run,
    body: [u8; 32],
}

/// The earlier call that a request repeats.
pub(crate) enum Match {
    /// The session's last call.
    LastRun(Run),
    /// An earlier call with the same idempotency key.
    SameKey(RunId),
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
                Some(last) if last.run.id() == *id => Match::LastRun(last.run.clone()),
                _ => Match::SameKey(*id),
            });
        }
        let last = self.last.as_ref()?;
        if last.body != fingerprint.body || !is_retry_expected(&last.run, now) {
            return None;
        }
        self.attached += 1;
        Some(Match::LastRun(last.run.clone()))
    }

    /// Notes the latest call.
    pub(crate) fn record(&mut self, run: &Run, fingerprint: &RequestFingerprint) {
        self.last = Some(LastCall {
            run: run.clone(),
            body: fingerprint.body,
        });
        self.record_key(run.id(), fingerprint);
    }

    /// Notes the idempotency key of an earlier call.
    pub(crate) fn record_key(&mut self, id: RunId, fingerprint: &RequestFingerprint) {
        if let Some(key) = &fingerprint.key {
            self.keys
                .insert(key.as_str().into(), (id, fingerprint.body));
        }
    }

    /// Removes a call that has no result.
    pub(crate) fn remove(&mut self, id: RunId) {
        self.last = self.last.take().filter(|last| last.run.id() != id);
        self.keys.retain(|_, (known, _)| *known != id);
    }

    /// Drops the last call if no repetition of it is expected any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.last.as_ref().is_some_and(|last| {
            last.run.is_delivered()
                || last
                    .run
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

fn is_retry_expected(run: &Run, now: Instant) -> bool {
    let since = run.abandoned_at();
    since.is_some_and(|since| now.saturating_duration_since(since) < RETRY_WINDOW)
}

#[cfg(test)]
mod tests {
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
            Some(Match::SameKey(_)) => "same key",
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
            (keyed(1, "k"), "same key"),
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
