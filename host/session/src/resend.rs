//! Calls that come a second time.
//!
//! A client whose connection broke before it read the id of its run sends the
//! call again, and the tool must not run twice. Two things tell a repetition
//! from a new call:
//!
//! * the key that the client gave it, if it did: same key, same run;
//! * else a guess: the body is that of the session's last call, whose
//!   connection broke before its answer was through, less than [`DOUBT`] ago.
//!   An agent that calls one after another and truly wants the same call
//!   again, right after it hung up on the first, is taken for a repetition.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::run::Run;
use super::service::Imprint;
use orwd_model::RunId;

/// How long a repetition is expected after a connection broke.
pub(super) const DOUBT: Duration = Duration::from_secs(60);

/// What is known of the calls of one session.
#[derive(Default)]
pub(super) struct Resends {
    last: Option<Last>,
    keys: HashMap<Box<str>, (RunId, [u8; 32])>,
    attached: u64,
}

struct Last {
    run: Run,
    body: [u8; 32],
}

/// What a call is.
pub(super) enum Verdict {
    /// One that was not there before.
    New,
    /// This one again.
    Again(Run),
    /// The one of this id, by the key that it has.
    Known(RunId),
    /// Another one with a key that is taken.
    Conflict,
}

impl Resends {
    /// Judges a call that names no run.
    pub(super) fn judge(&mut self, imprint: &Imprint, now: Instant) -> Verdict {
        if let Some(key) = &imprint.key {
            return match self.keys.get(key.as_str()) {
                None => Verdict::New,
                Some((id, body)) if *body == imprint.body => match &self.last {
                    // It may never have been announced, and be nowhere else.
                    Some(last) if last.run.id() == *id => Verdict::Again(last.run.clone()),
                    _ => Verdict::Known(*id),
                },
                Some(_) => Verdict::Conflict,
            };
        }
        match &self.last {
            Some(last) if last.body == imprint.body && in_doubt(&last.run, now) => {
                self.attached += 1;
                Verdict::Again(last.run.clone())
            }
            _ => Verdict::New,
        }
    }

    /// Notes the latest call.
    pub(super) fn note(&mut self, run: &Run, imprint: &Imprint) {
        self.last = Some(Last {
            run: run.clone(),
            body: imprint.body,
        });
        self.note_key(run.id(), imprint);
    }

    /// Notes the key of an earlier one.
    pub(super) fn note_key(&mut self, id: RunId, imprint: &Imprint) {
        if let Some(key) = &imprint.key {
            self.keys.insert(key.as_str().into(), (id, imprint.body));
        }
    }

    /// Forgets a call that came to nothing.
    pub(super) fn discard(&mut self, id: RunId) {
        self.last = self.last.take().filter(|last| last.run.id() != id);
        self.keys.retain(|_, (known, _)| *known != id);
    }

    /// Lets go of a result that nobody will ask for in this way.
    pub(super) fn forget(&mut self, now: Instant) {
        if self.last.as_ref().is_some_and(|last| {
            last.run.is_delivered()
                || last
                    .run
                    .doubted()
                    .is_some_and(|since| now.saturating_duration_since(since) >= DOUBT)
        }) {
            self.last = None;
        }
    }

    /// How many calls were taken for repetitions by a guess.
    pub(super) fn attached(&self) -> u64 {
        self.attached
    }
}

fn in_doubt(run: &Run, now: Instant) -> bool {
    let since = run.doubted();
    since.is_some_and(|since| now.saturating_duration_since(since) < DOUBT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run::new(RunId::random(), |_, promise, _| drop(promise))
    }

    fn body(byte: u8) -> Imprint {
        Imprint {
            body: [byte; 32],
            key: None,
        }
    }

    fn keyed(byte: u8, key: &str) -> Imprint {
        Imprint {
            key: Some(key.to_owned()),
            ..body(byte)
        }
    }

    fn told(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::New => "new",
            Verdict::Again(_) => "again",
            Verdict::Known(_) => "known",
            Verdict::Conflict => "conflict",
        }
    }

    #[test]
    fn a_call_is_a_repetition_only_if_the_last_answer_was_cut_off() {
        let now = Instant::now();
        let soon = now + DOUBT / 2;
        let late = now + DOUBT * 2;
        for (story, end, imprint, then, expected) in [
            ("nobody read it yet", None, body(1), soon, "new"),
            ("it was read to its end", Some(true), body(1), soon, "new"),
            ("it was cut off", Some(false), body(1), soon, "again"),
            ("another call", Some(false), body(2), soon, "new"),
            ("too late", Some(false), body(1), late, "new"),
            ("with a key", Some(false), keyed(1, "k"), soon, "new"),
        ] {
            let mut resends = Resends::default();
            let run = run();
            resends.note(&run, &body(1));
            if let Some(delivered) = end {
                let mut reader = run.reader();
                if delivered {
                    reader.delivered();
                }
            }
            assert_eq!(told(&resends.judge(&imprint, then)), expected, "{story}");
            assert_eq!(resends.attached(), u64::from(expected == "again"));
        }
    }

    #[test]
    fn another_reader_removes_the_doubt() {
        let mut resends = Resends::default();
        let run = run();
        resends.note(&run, &body(1));
        drop(run.reader());
        let reader = run.reader();
        assert_eq!(told(&resends.judge(&body(1), Instant::now())), "new");
        drop(reader);
        assert_eq!(told(&resends.judge(&body(1), Instant::now())), "again");
    }

    #[test]
    fn a_key_names_one_call() {
        let mut resends = Resends::default();
        let first = run();
        resends.note(&first, &keyed(1, "k"));
        let mut reader = first.reader();
        reader.delivered();
        resends.note(&run(), &keyed(2, "l"));
        for (imprint, expected) in [
            (keyed(1, "k"), "known"),
            (keyed(2, "k"), "conflict"),
            (keyed(2, "l"), "again"),
            (keyed(1, "m"), "new"),
        ] {
            assert_eq!(told(&resends.judge(&imprint, Instant::now())), expected);
        }
        assert_eq!(resends.attached(), 0, "a key is no guess");
    }

    #[test]
    fn a_result_is_let_go_of_once_there_is_no_doubt() {
        let now = Instant::now();
        let mut resends = Resends::default();
        let run = run();
        resends.note(&run, &body(1));
        resends.forget(now + DOUBT * 9);
        assert!(resends.last.is_some(), "nobody has read it");
        drop(run.reader());
        resends.forget(now);
        assert!(resends.last.is_some());
        resends.forget(Instant::now() + DOUBT);
        assert!(resends.last.is_none());
    }
}
