//! Runs that the journal holds, for clients that ask for them later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orwd_journal::{
    EpisodeHistory, EpisodeStep, GuestOutcome, OutcomeRecord, Record, RunIdentity, ScannedRecord,
    drop_content,
};
use orwd_model::{HeapSize, RunId, RunOutcome, Timestamp};

use crate::actor::state::SharedState;
use crate::api::request::RequestFingerprint;
use crate::runs::result_memory::ResultMemory;
use crate::runs::run::{HeldOutcome, Run};
use crate::runs::run_id::RunIdSigner;

/// The most results, and their bytes, that are restored into the cache of a
/// session.
const MAX_RESTORED: usize = 256;
const MAX_RESTORED_BYTES: usize = 16 << 20;

/// What the journal holds of a run.
pub(crate) enum RunLookup {
    /// Its result.
    Finished {
        run: Run,
        /// Whether it has not expired.
        fresh: bool,
    },
    /// Nothing.
    NotFound,
    /// The request, but not the result.
    ResultUnavailable,
}

/// Looks for a run while a history is read.
pub(crate) struct RunSearch {
    id: RunId,
    /// The slot of the request, and when it came.
    request: Option<(u64, Timestamp)>,
    outcome: Option<RunOutcome>,
}

impl RunSearch {
    pub(crate) fn new(id: RunId) -> RunSearch {
        RunSearch {
            id,
            request: None,
            outcome: None,
        }
    }

    /// Takes the next record.
    pub(crate) fn add(&mut self, scanned: ScannedRecord) {
        match scanned.record {
            Record::Request(request)
                if request.run.as_ref().is_some_and(|run| run.id == self.id) =>
            {
                self.request = Some((scanned.seq, request.at));
            }
            Record::Outcome(outcome) if self.request.is_some_and(|(seq, _)| seq == outcome.of) => {
                self.outcome = outcome.outcome.and_then(GuestOutcome::into_run);
            }
            _ => {}
        }
    }

    /// Returns what was found; `hold` charges the result.
    pub(crate) fn finish(
        self,
        result_ttl: Duration,
        hold: impl FnOnce(RunOutcome) -> HeldOutcome,
    ) -> RunLookup {
        match (self.request, self.outcome) {
            (None, _) => RunLookup::NotFound,
            (Some(_), None) => RunLookup::ResultUnavailable,
            (Some((_, at)), Some(outcome)) => RunLookup::Finished {
                run: Run::finished(self.id, hold(outcome)),
                fresh: at.saturating_add(result_ttl) >= Timestamp::now(),
            },
        }
    }
}

/// Decides which content of a history is held while a session is resumed: that
/// of requests, and the results that are restored. Whatever a replay compares is
/// a hash.
pub(crate) struct ReplayContent {
    expires_before: Timestamp,
    /// The steps whose results are held, with their sizes; the oldest first.
    held: VecDeque<(usize, usize)>,
    bytes: usize,
}

impl ReplayContent {
    pub(crate) fn new(result_ttl: Duration) -> ReplayContent {
        ReplayContent {
            expires_before: Timestamp::now().saturating_sub(result_ttl),
            held: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Decides about the next record of a history with these steps.
    pub(crate) fn keep(&mut self, record: &mut Record, steps: &mut [EpisodeStep]) {
        let Record::Outcome(outcome) = record else {
            return;
        };
        let Ok(index) = steps.binary_search_by_key(&outcome.of, |step| step.seq) else {
            return;
        };
        let is_run = steps
            .get(index)
            .is_some_and(|step| step.record.run.is_some());
        let Some(content) = &mut outcome.outcome else {
            return;
        };
        if !is_run {
            drop_content(content);
            return;
        }
        let size = result_size(outcome);
        self.bytes += size;
        self.held.push_back((index, size));
        // The newest is kept in any case.
        while self.held.len() > 1
            && let Some((oldest, size)) = self.held.front().copied()
            && let Some(step) = steps.get_mut(oldest)
        {
            let over = self.held.len() > MAX_RESTORED || self.bytes > MAX_RESTORED_BYTES;
            if !over && step.record.at >= self.expires_before {
                return;
            }
            self.held.pop_front();
            self.bytes -= size;
            if let Some(outcome) = &mut step.outcome {
                // The result itself is not restored any more.
                if let Some(content) = &mut outcome.record.outcome
                    && has_results(content)
                {
                    outcome.record.outcome = None;
                }
            }
        }
    }
}

fn result_size(outcome: &OutcomeRecord) -> usize {
    match &outcome.outcome {
        Some(GuestOutcome::Output(output)) => output.heap_size(),
        Some(GuestOutcome::Scores(scores)) => scores.heap_size(),
        _ => 0,
    }
}

/// Returns whether an outcome is nothing but a result of a run.
fn has_results(outcome: &GuestOutcome) -> bool {
    matches!(outcome, GuestOutcome::Output(_) | GuestOutcome::Scores(_))
}

/// Restores what clients may ask for: the idempotency keys of all runs, and the
/// results of those that would still be cached.
pub(crate) fn restore(
    shared: &Arc<SharedState>,
    history: &EpisodeHistory,
    run_ids: &RunIdSigner,
    results: &ResultMemory,
    result_ttl: Duration,
) {
    let now = Timestamp::now();
    let last = history
        .steps()
        .iter()
        .rposition(|step| step.record.run.is_some());
    for (index, step) in history.steps().iter().enumerate() {
        let (Some(mark), Some(answer)) = (&step.record.run, &step.outcome) else {
            continue;
        };
        if !run_ids.verify(history.episode(), mark.id) {
            continue;
        }
        shared.retries().record_key(mark.id, &fingerprint(mark));
        let is_fresh = step.record.at.saturating_add(result_ttl) >= now;
        if !(is_fresh || Some(index) == last) || shared.runs().contains(mark.id) {
            continue;
        }
        let outcome = answer.record.outcome.clone();
        if let Some(outcome) = outcome.and_then(GuestOutcome::into_run) {
            // Without a lock, since it may evict other results.
            let outcome = results.keep(shared, mark.id, outcome);
            let bytes = outcome.bytes();
            let mut runs = shared.runs();
            runs.insert(Run::finished(mark.id, outcome));
            runs.finish(mark.id, bytes, Instant::now());
        }
    }
}

/// Returns the fingerprint of a journaled request.
pub(crate) fn fingerprint(mark: &RunIdentity) -> RequestFingerprint {
    RequestFingerprint {
        body: *mark.body.as_bytes(),
        key: mark.idempotency_key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use orwd_journal::{ChainLink, GuestRequest, Hash, RequestRecord, StepOutcome};
    use orwd_model::{Block, Json, ToolOutput};

    use super::*;

    fn step(seq: u64, at: Timestamp) -> EpisodeStep {
        EpisodeStep {
            seq,
            record: RequestRecord {
                at,
                request: GuestRequest::Call {
                    tool: "act".to_owned(),
                    input: Json::object("{}".to_owned()).unwrap(),
                },
                run: Some(RunIdentity {
                    id: RunId::random(),
                    body: Hash::of(b""),
                    idempotency_key: None,
                }),
                sealed: None,
            },
            link: ChainLink::initial(orwd_journal::EpisodeId::new()),
            outcome: None,
        }
    }

    fn output(of: u64, size: usize) -> Record {
        let block = Block::Text {
            text: "x".repeat(size),
            detail: None,
        };
        let output = ToolOutput {
            blocks: vec![block],
            metadata: None,
            reward: None,
            finished: false,
        };
        Record::Outcome(Box::new(OutcomeRecord::new(
            of,
            GuestOutcome::Output(output),
            0,
        )))
    }

    /// Reads steps with results of this size and returns how many are held.
    fn held(count: u64, size: usize, age: Duration) -> usize {
        let mut content = ReplayContent::new(Duration::from_secs(60));
        let at = Timestamp::now().saturating_sub(age);
        let mut steps = Vec::new();
        for n in 0..count {
            let request = step(2 * n, at);
            let link = request.link;
            steps.push(request);
            let mut record = output(2 * n, size);
            content.keep(&mut record, &mut steps);
            let Record::Outcome(record) = record else {
                panic!("an outcome");
            };
            steps.last_mut().unwrap().outcome = Some(StepOutcome {
                seq: 2 * n + 1,
                record: *record,
                link,
            });
        }
        let results = steps.iter().filter_map(|step| step.outcome.as_ref());
        results.filter(|step| step.record.outcome.is_some()).count()
    }

    #[test]
    fn a_resume_holds_the_results_that_it_restores_and_no_others() {
        let (now, long_ago) = (Duration::ZERO, Duration::from_secs(600));
        for (count, size, age, expected) in [
            (10, 100, now, 10),
            (10, 100, long_ago, 1),
            (40, 1 << 20, now, 15),
            (300, 10, now, MAX_RESTORED),
        ] {
            assert_eq!(held(count, size, age), expected, "{count} of {size}");
        }
    }
}
