//! The session that must notice nothing.
//!
//! It belongs to another owner and another environment than the attacks, calls
//! a tool that counts every 100 ms, and keeps how long each call took and
//! whether the count was right. A call that fails or counts wrong is an error;
//! it never stops the canary, which begins a new session then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orwd_tests::ors::{Ors, Session, Task};
use serde_json::json;

/// From the end of a call to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What a call is held against.
pub const BOUND: Duration = Duration::from_millis(250);

/// One call.
#[derive(Clone, Debug)]
struct Sample {
    took: Duration,
    wrong: Option<String>,
}

/// A canary at work.
pub struct Canary {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the canary saw over some time.
#[derive(Clone, Debug)]
pub struct Effect {
    /// How many calls it made.
    pub calls: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// All but one in a hundred took no longer.
    pub p99: Duration,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// A place in the canary's life.
#[derive(Clone, Copy)]
pub struct Mark(usize);

impl Canary {
    /// Starts one on this server.
    pub fn start(ors: Ors) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (samples, stop) = (Arc::clone(&samples), Arc::clone(&stop));
            move || sing(&ors, &samples, &stop)
        });
        Self {
            samples,
            stop,
            thread: Some(thread),
        }
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(self.lock().len())
    }

    /// Waits until there are so many calls since the mark, and gives all that
    /// there are. The first of them may have begun before the mark.
    pub fn since(&self, mark: Mark, least: usize) -> Effect {
        let begin = Instant::now();
        while self.lock().len() < mark.0 + least {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "the canary is silent"
            );
            thread::sleep(Duration::from_millis(5));
        }
        Effect::of(&self.lock()[mark.0..])
    }

    /// All that it ever saw.
    pub fn whole(&self) -> Effect {
        Effect::of(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Effect {
    fn of(samples: &[Sample]) -> Self {
        let mut times: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
        times.sort();
        // The smallest that is at least as long as this share of all.
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied()
        };
        Self {
            calls: samples.len(),
            p50: at(0.5).unwrap_or_default(),
            p99: at(0.99).unwrap_or_default(),
            errors: samples
                .iter()
                .filter_map(|sample| sample.wrong.clone())
                .collect(),
        }
    }
}

fn sing(ors: &Ors, samples: &Mutex<Vec<Sample>>, stop: &AtomicBool) {
    let mut session: Option<(Session, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let (current, count) = match session.take() {
            Some(live) => live,
            None => match quietly(|| ors.open("alpha", Task::At("train", 0))) {
                Ok(fresh) => (fresh, 0),
                Err(wrong) => {
                    keep(samples, Duration::ZERO, Some(wrong));
                    thread::sleep(PAUSE);
                    continue;
                }
            },
        };
        let count = count + 1;
        let begin = Instant::now();
        let answer = quietly(|| current.call("bump", json!({})).text());
        let took = begin.elapsed();
        let wrong = match answer {
            Ok(text) if text == count.to_string() => None,
            Ok(text) => Some(format!("it counted to {count} and was told {text}")),
            Err(wrong) => Some(wrong),
        };
        if wrong.is_none() {
            session = Some((current, count));
        }
        keep(samples, took, wrong);
        thread::sleep(PAUSE);
    }
}

fn keep(samples: &Mutex<Vec<Sample>>, took: Duration, wrong: Option<String>) {
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    samples.push(Sample { took, wrong });
}

/// Does what may panic, and gives the panic's words.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic").to_owned()
    })
}
