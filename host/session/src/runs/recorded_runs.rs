//! Runs that the journal holds, for clients that ask for them later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orwd_journal::{
    EpisodeHistory, EpisodeId, EpisodeStep, GuestOutcome, OutcomeRecord, Record, RunIdentity,
    ScannedRecord, drop_content, drop_request,
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

/// Decides which steps of a history are held when a session is resumed: the first
/// and the last one, and those whose results are restored, without their
/// requests. The replay reads all of them again, a page at a time.
pub(crate) struct ReplayContent {
    expires_before: Timestamp,
    /// The slots of the requests whose results are held, with their sizes; the
    /// oldest first.
    held: VecDeque<(u64, usize)>,
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

    /// Decides about the next record of a history with these steps. `dropped` gets
    /// the marks of runs that are not held.
    pub(crate) fn keep(
        &mut self,
        record: &mut Record,
        steps: &mut Vec<EpisodeStep>,
        dropped: &mut dyn FnMut(&RunIdentity),
    ) {
        match record {
            Record::Request(_) => self.leave_last(steps, dropped),
            Record::Outcome(outcome) => self.keep_outcome(outcome, steps, dropped),
            Record::Created(_) | Record::Exchange(_) | Record::Ended(_) => {}
        }
    }

    /// Drops the last step, or what is not needed of it when another follows.
    fn leave_last(&self, steps: &mut Vec<EpisodeStep>, dropped: &mut dyn FnMut(&RunIdentity)) {
        let (only, at) = (steps.len() == 1, steps.len().saturating_sub(1));
        let Some(last) = steps.last_mut() else {
            return;
        };
        let held = self.held.back().is_some_and(|(seq, _)| *seq == last.seq);
        if held || only {
            drop_request(&mut last.record.request);
        } else {
            drop_step(steps, at, dropped);
        }
    }

    fn keep_outcome(
        &mut self,
        outcome: &mut OutcomeRecord,
        steps: &mut Vec<EpisodeStep>,
        dropped: &mut dyn FnMut(&RunIdentity),
    ) {
        let Ok(index) = steps.binary_search_by_key(&outcome.of, |step| step.seq) else {
            return;
        };
        let is_run = steps
            .get(index)
            .is_some_and(|step| step.record.run.is_some());
        // Only a step that is performed again needs them.
        if let Some(step) = steps.get_mut(index) {
            step.exchanges = Vec::new();
        }
        let size = result_size(outcome);
        let Some(content) = &mut outcome.outcome else {
            return;
        };
        if !is_run {
            drop_content(content);
            return;
        }
        self.bytes += size;
        self.held.push_back((outcome.of, size));
        // The newest is kept in any case.
        while self.held.len() > 1
            && let Some((oldest, size)) = self.held.front().copied()
            && let Ok(at) = steps.binary_search_by_key(&oldest, |step| step.seq)
            && let Some(step) = steps.get(at)
        {
            let over = self.held.len() > MAX_RESTORED || self.bytes > MAX_RESTORED_BYTES;
            if !over && step.record.at >= self.expires_before {
                return;
            }
            self.held.pop_front();
            self.bytes -= size;
            // The first step says how the setup ended, and is no run.
            drop_step(steps, at, dropped);
        }
    }
}

fn drop_step(steps: &mut Vec<EpisodeStep>, at: usize, dropped: &mut dyn FnMut(&RunIdentity)) {
    if at < steps.len()
        && let Some(mark) = steps.remove(at).record.run
    {
        dropped(&mark);
    }
}

fn result_size(outcome: &OutcomeRecord) -> usize {
    match &outcome.outcome {
        Some(GuestOutcome::Output(output)) => output.heap_size(),
        Some(GuestOutcome::Scores(scores)) => scores.heap_size(),
        _ => 0,
    }
}

/// Restores the idempotency key of a run.
pub(crate) fn restore_key(
    shared: &SharedState,
    episode: EpisodeId,
    mark: &RunIdentity,
    run_ids: &RunIdSigner,
) {
    if run_ids.verify(episode, mark.id) {
        shared.retries().record_key(mark.id, &fingerprint(mark));
    }
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
            // Without a lock, since it may evict other results. What finds no space
            // is read again when a client asks for it.
            let owner = &shared.identity.owner;
            if !results.has_space(owner) {
                continue;
            }
            let outcome = results.hold(owner, outcome);
            results.keep(shared, mark.id, &outcome);
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

    fn step(seq: u64, at: Timestamp, size: usize) -> EpisodeStep {
        EpisodeStep {
            seq,
            record: RequestRecord {
                at,
                request: GuestRequest::Call {
                    tool: "act".to_owned(),
                    input: Json::object(format!("{{\"x\":\"{}\"}}", "x".repeat(size))).unwrap(),
                },
                run: Some(RunIdentity {
                    id: RunId::random(),
                    body: Hash::of(b""),
                    idempotency_key: None,
                }),
                sealed: None,
            },
            exchanges: Vec::new(),
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

    /// Reads steps with inputs and results of this size. Returns how many results
    /// are held, and how many steps are dropped.
    fn held(count: u64, size: usize, age: Duration) -> (usize, usize) {
        let mut content = ReplayContent::new(Duration::from_secs(60));
        let at = Timestamp::now().saturating_sub(age);
        let (mut steps, mut dropped) = (Vec::new(), 0);
        for n in 0..count {
            let request = step(2 * n, at, size);
            let mut record = Record::Request(Box::new(request.record.clone()));
            content.keep(&mut record, &mut steps, &mut |_| dropped += 1);
            let link = request.link;
            steps.push(request);
            let inputs: usize = steps.iter().map(input_size).sum();
            assert!(
                inputs <= size + 2 * steps.len() + 20,
                "{inputs} bytes of inputs"
            );
            let mut record = output(2 * n, size);
            content.keep(&mut record, &mut steps, &mut |_| dropped += 1);
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
        let results = results.filter(|step| step.record.outcome.is_some());
        (results.count(), dropped)
    }

    fn input_size(step: &EpisodeStep) -> usize {
        match &step.record.request {
            GuestRequest::Call { input, .. } => input.as_str().len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resume_holds_the_results_that_it_restores_and_one_request() {
        let (now, long_ago) = (Duration::ZERO, Duration::from_secs(600));
        for (count, size, age, expected) in [
            (10, 100, now, 10),
            (10, 100, long_ago, 1),
            (40, 1 << 20, now, 15),
            (300, 10, now, MAX_RESTORED),
        ] {
            let (results, dropped) = held(count, size, age);
            assert_eq!(results, expected, "{count} of {size}");
            // The last step is held in any case.
            assert_eq!(dropped, count as usize - expected, "{count} of {size}");
        }
    }
}
