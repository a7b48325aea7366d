//! The session that the attacks must not affect.
//!
//! It belongs to another owner and another environment than the attacks. Every
//! 50 ms it calls a tool that counts, and records how long the call took and
//! whether the count was right. A failed or wrong call is an error; the canary
//! then continues with a new session.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use serde_json::json;

/// The pause between two calls.
const PAUSE: Duration = Duration::from_millis(50);

/// The limit for the 99th percentile of the calls' latency.
pub(crate) const LATENCY_LIMIT: Duration = Duration::from_millis(250);

/// One call.
#[derive(Clone, Debug)]
struct CallSample {
    latency: Duration,
    error: Option<String>,
}

/// A running canary.
pub(crate) struct Canary {
    samples: Arc<Mutex<Vec<CallSample>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the canary saw during some time.
#[derive(Clone, Debug)]
pub(crate) struct CanaryStats {
    /// The number of calls.
    pub(crate) calls: usize,
    /// The median latency.
    pub(crate) p50: Duration,
    /// The 99th percentile of the latency.
    pub(crate) p99: Duration,
    /// Failed and wrong calls.
    pub(crate) errors: Vec<String>,
}

/// A position in the sequence of the canary's calls.
#[derive(Clone, Copy)]
pub(crate) struct SampleIndex(usize);

impl Canary {
    /// Starts a canary on this server.
    pub(crate) fn start(ors: OrsClient) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (samples, stop) = (Arc::clone(&samples), Arc::clone(&stop));
            move || run_calls(&ors, &samples, &stop)
        });
        Self {
            samples,
            stop,
            thread: Some(thread),
        }
    }

    /// Returns the current position.
    pub(crate) fn mark(&self) -> SampleIndex {
        SampleIndex(self.lock().len())
    }

    /// Waits for at least `least` calls since the mark and returns the
    /// statistics of all since then. The first may have started before the mark.
    pub(crate) fn since(&self, mark: SampleIndex, least: usize) -> CanaryStats {
        let start = Instant::now();
        while self.lock().len() < mark.0 + least {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the canary makes no calls"
            );
            thread::sleep(Duration::from_millis(5));
        }
        CanaryStats::of(&self.lock()[mark.0..])
    }

    /// Returns the statistics of all calls.
    pub(crate) fn total(&self) -> CanaryStats {
        CanaryStats::of(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CallSample>> {
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

impl CanaryStats {
    fn of(samples: &[CallSample]) -> Self {
        let mut latencies: Vec<Duration> = samples.iter().map(|sample| sample.latency).collect();
        latencies.sort();
        // The smallest latency that is at least as long as this share of all.
        let quantile = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.saturating_sub(1)).copied()
        };
        Self {
            calls: samples.len(),
            p50: quantile(0.5).unwrap_or_default(),
            p99: quantile(0.99).unwrap_or_default(),
            errors: samples
                .iter()
                .filter_map(|sample| sample.error.clone())
                .collect(),
        }
    }
}

fn run_calls(ors: &OrsClient, samples: &Mutex<Vec<CallSample>>, stop: &AtomicBool) {
    let mut session: Option<(SessionClient, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let (current, count) = match session.take() {
            Some(live) => live,
            None => match catch_panic(|| ors.open("alpha", TaskSelector::At("train", 0))) {
                Ok(fresh) => (fresh, 0),
                Err(error) => {
                    record(samples, Duration::ZERO, Some(error));
                    thread::sleep(PAUSE);
                    continue;
                }
            },
        };
        let count = count + 1;
        let start = Instant::now();
        let answer = catch_panic(|| current.call("bump", json!({})).text());
        let latency = start.elapsed();
        let error = match answer {
            Ok(text) if text == count.to_string() => None,
            Ok(text) => Some(format!("call {count} returned {text}")),
            Err(error) => Some(error),
        };
        if error.is_none() {
            session = Some((current, count));
        }
        record(samples, latency, error);
        thread::sleep(PAUSE);
    }
}

fn record(samples: &Mutex<Vec<CallSample>>, latency: Duration, error: Option<String>) {
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    samples.push(CallSample { latency, error });
}

/// Runs work that may panic, and returns the panic's message as an error.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic").to_owned()
    })
}
