//! The runs of a session that can still be asked for.
//!
//! A run is kept while it goes on and for a while after: that is how a client
//! whose connection broke gets its result. The while is bounded in time, and
//! in number and size for a client that calls without pause: the last results
//! stay, since those are the ones that a client comes back for.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::Run;
use orwd_model::RunId;

/// Finished runs kept at most.
const MOST: usize = 256;

/// Bytes of finished runs kept at most, but for the last one.
const MOST_BYTES: usize = 16 << 20;

/// The table of one session.
pub(super) struct Runs {
    linger: Duration,
    known: HashMap<RunId, Run>,
    finished: VecDeque<Finished>,
    bytes: usize,
}

struct Finished {
    id: RunId,
    until: Instant,
    bytes: usize,
}

impl Runs {
    pub(super) fn new(linger: Duration) -> Runs {
        Runs {
            linger,
            known: HashMap::new(),
            finished: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Notes a run that has begun.
    pub(super) fn begin(&mut self, run: Run) {
        self.known.insert(run.id(), run);
    }

    /// Forgets a run that came to nothing.
    pub(super) fn discard(&mut self, id: RunId) {
        self.known.remove(&id);
    }

    /// Notes that a run has ended with a result of this size.
    pub(super) fn finish(&mut self, id: RunId, bytes: usize, now: Instant) {
        self.finished.push_back(Finished {
            id,
            until: now + self.linger,
            bytes,
        });
        self.bytes += bytes;
        self.forget(now);
    }

    /// Whether there is a run of this id.
    pub(super) fn knows(&self, id: RunId) -> bool {
        self.known.contains_key(&id)
    }

    /// The run of this id, unless it is forgotten.
    pub(super) fn get(&mut self, id: RunId, now: Instant) -> Option<Run> {
        self.forget(now);
        self.known.get(&id).cloned()
    }

    /// Forgets what is over its time or crowded out.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.finished.front() {
            let crowded =
                self.finished.len() > 1 && (self.finished.len() > MOST || self.bytes > MOST_BYTES);
            if oldest.until > now && !crowded {
                break;
            }
            self.bytes -= oldest.bytes;
            self.known.remove(&oldest.id);
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(runs: &mut Runs, bytes: usize, now: Instant) -> RunId {
        let run = Run::new(RunId::random(), |_, promise, _| drop(promise));
        let id = run.id();
        runs.begin(run);
        runs.finish(id, bytes, now);
        id
    }

    #[test]
    fn a_result_lingers_for_its_time() {
        let start = Instant::now();
        let mut runs = Runs::new(Duration::from_secs(60));
        let id = add(&mut runs, 10, start);
        assert!(runs.get(id, start + Duration::from_secs(59)).is_some());
        assert!(runs.get(id, start + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn a_run_that_goes_on_is_never_forgotten() {
        let start = Instant::now();
        let mut runs = Runs::new(Duration::ZERO);
        let run = Run::new(RunId::random(), |_, promise, _| drop(promise));
        let id = run.id();
        runs.begin(run);
        assert!(runs.get(id, start + Duration::from_secs(900)).is_some());
    }

    #[test]
    fn the_last_results_stay_when_there_are_too_many_or_too_large_ones() {
        let now = Instant::now();
        let mut runs = Runs::new(Duration::from_secs(60));
        let ids: Vec<_> = (0..MOST + 5).map(|_| add(&mut runs, 1, now)).collect();
        assert!(runs.get(ids[4], now).is_none());
        assert!(runs.get(ids[5], now).is_some());

        let large = add(&mut runs, MOST_BYTES + 1, now);
        assert!(runs.get(large, now).is_some());
        assert!(runs.get(ids[MOST + 4], now).is_none());
    }
}
