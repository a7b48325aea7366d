//! The runs of a session whose results can be fetched.
//!
//! A run is kept while it is in progress and for a time afterwards, so that a
//! client whose connection broke can fetch its result. Finished runs are also
//! limited in number and size; the oldest are evicted first.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use orwd_model::RunId;

use crate::runs::run::Run;

/// The most finished runs that are kept.
const MAX_FINISHED: usize = 256;

/// The most bytes of finished runs that are kept; the newest is kept whatever
/// its size.
const MAX_BYTES: usize = 16 << 20;

/// The runs of one session by id.
pub(crate) struct RunCache {
    ttl: Duration,
    runs: HashMap<RunId, Run>,
    /// The oldest first.
    finished: VecDeque<FinishedRun>,
    bytes: usize,
}

struct FinishedRun {
    id: RunId,
    expires: Instant,
    bytes: usize,
}

impl RunCache {
    /// Creates a cache that keeps finished runs for this time.
    pub(crate) fn new(ttl: Duration) -> RunCache {
        RunCache {
            ttl,
            runs: HashMap::new(),
            finished: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds a run that has begun.
    pub(crate) fn insert(&mut self, run: Run) {
        self.runs.insert(run.id(), run);
    }

    /// Removes a run that has no result.
    pub(crate) fn remove(&mut self, id: RunId) {
        self.runs.remove(&id);
    }

    /// Evicts a finished run before its time.
    pub(crate) fn remove_finished(&mut self, id: RunId) {
        if let Some(at) = self.finished.iter().position(|run| run.id == id)
            && let Some(run) = self.finished.remove(at)
        {
            self.bytes -= run.bytes;
        }
        self.runs.remove(&id);
    }

    /// Notes that a run has finished with a result of this size.
    pub(crate) fn finish(&mut self, id: RunId, bytes: usize, now: Instant) {
        self.finished.push_back(FinishedRun {
            id,
            expires: now + self.ttl,
            bytes,
        });
        self.bytes += bytes;
        self.evict(now);
    }

    /// Returns whether there is a run of this id.
    pub(crate) fn contains(&self, id: RunId) -> bool {
        self.runs.contains_key(&id)
    }

    /// Returns the run of this id, unless it was evicted.
    pub(crate) fn get(&mut self, id: RunId, now: Instant) -> Option<Run> {
        self.evict(now);
        self.runs.get(&id).cloned()
    }

    /// Evicts finished runs that have expired or exceed the limits.
    pub(crate) fn evict(&mut self, now: Instant) {
        while let Some(oldest) = self.finished.front() {
            let over_limit = self.finished.len() > 1
                && (self.finished.len() > MAX_FINISHED || self.bytes > MAX_BYTES);
            if oldest.expires > now && !over_limit {
                break;
            }
            self.bytes -= oldest.bytes;
            self.runs.remove(&oldest.id);
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(runs: &mut RunCache, bytes: usize, now: Instant) -> RunId {
        let run = Run::new(RunId::random(), |_, outcome, _| drop(outcome));
        let id = run.id();
        runs.insert(run);
        runs.finish(id, bytes, now);
        id
    }

    #[test]
    fn a_finished_run_is_kept_for_its_time() {
        let start = Instant::now();
        let mut runs = RunCache::new(Duration::from_secs(60));
        let id = add(&mut runs, 10, start);
        assert!(runs.get(id, start + Duration::from_secs(59)).is_some());
        assert!(runs.get(id, start + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn a_run_in_progress_is_never_evicted() {
        let start = Instant::now();
        let mut runs = RunCache::new(Duration::ZERO);
        let run = Run::new(RunId::random(), |_, outcome, _| drop(outcome));
        let id = run.id();
        runs.insert(run);
        assert!(runs.get(id, start + Duration::from_secs(900)).is_some());
    }

    #[test]
    fn a_run_that_is_removed_gives_its_bytes_back() {
        let now = Instant::now();
        let mut runs = RunCache::new(Duration::from_secs(60));
        let [first, second] = [(); 2].map(|()| add(&mut runs, MAX_BYTES / 2, now));
        runs.remove_finished(first);
        assert!(!runs.contains(first));
        let third = add(&mut runs, MAX_BYTES / 2, now);
        assert!(runs.contains(second) && runs.contains(third));
    }

    #[test]
    fn the_oldest_finished_runs_are_evicted_when_there_are_too_many_or_too_large_ones() {
        let now = Instant::now();
        let mut runs = RunCache::new(Duration::from_secs(60));
        let ids: Vec<_> = (0..MAX_FINISHED + 5)
            .map(|_| add(&mut runs, 1, now))
            .collect();
        assert!(runs.get(ids[4], now).is_none());
        assert!(runs.get(ids[5], now).is_some());

        let large = add(&mut runs, MAX_BYTES + 1, now);
        assert!(runs.get(large, now).is_some());
        assert!(runs.get(ids[MAX_FINISHED + 4], now).is_none());
    }
}
