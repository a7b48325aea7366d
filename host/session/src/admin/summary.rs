//! Summarizes sessions and their steps.

use orwd_journal::{
    CreatedRecord, EndedRecord, EpisodeHistory, EpisodeId, EpisodeState, GuestOutcome,
    IndexedEpisode, OutcomeRecord, Record, RequestRecord, ScannedRecord, SealedSecrets,
};

use crate::actor::state::SharedState;
use crate::api::summary::{ForkParent, SessionDetail, SessionSummary, StepRange, StepSummary};
use crate::episode::replay;

/// Summarizes an open session.
pub(super) fn open_session(shared: &SharedState) -> SessionSummary {
    let identity = &shared.identity;
    SessionSummary {
        session: identity.id.as_str().to_owned(),
        episode: identity.episode.to_string(),
        environment: identity.environment.as_str().to_owned(),
        component: identity.component.to_string(),
        created_ms: identity.created.as_millis(),
        imported_records: identity.import.as_ref().map(|import| import.records),
        ended_ms: None,
        state: shared.phase.borrow().as_str(),
        attached: shared.retries().attached(),
    }
}

/// Summarizes an episode in the index that has ended. Why it ended is in its last
/// record, which is not read.
pub(super) fn ended_episode(episode: &IndexedEpisode) -> SessionSummary {
    let header = &episode.header;
    SessionSummary {
        session: header.session.as_str().to_owned(),
        episode: episode.id.to_string(),
        environment: header.environment.as_str().to_owned(),
        component: header.component.to_string(),
        created_ms: header.created.as_millis(),
        ended_ms: match episode.state {
            EpisodeState::Ended(at) => Some(at.as_millis()),
            EpisodeState::Live => None,
        },
        imported_records: header.import.as_ref().map(|import| import.records),
        state: if episode.is_live() { "live" } else { "ended" },
        attached: 0,
    }
}

/// Summarizes a whole history, without a server.
pub(super) fn whole_history(history: &EpisodeHistory) -> SessionDetail {
    let mut collector = StepCollector::new(StepRange {
        after: None,
        limit: usize::MAX,
    });
    collector.imported = history.imported();
    collector.ended = history.ended().cloned();
    for step in history.steps() {
        collector.add_request(step.seq, &step.record);
        if let Some(outcome) = &step.outcome {
            collector.add_outcome(outcome.seq, &outcome.record);
        }
    }
    collector.finish(history.created(), history.episode(), None, Vec::new())
}

/// The steps of one page, collected while the history of a session is read. Of
/// everything else only the first and the last record are kept.
pub(super) struct StepCollector {
    range: StepRange,
    created: Option<Box<CreatedRecord>>,
    ended: Option<EndedRecord>,
    steps: Vec<StepSummary>,
    /// Calls and scorings so far.
    counted: u64,
    more: bool,
    /// The number of the first records that this host did not run.
    imported: u64,
}

impl StepCollector {
    pub(super) fn new(range: StepRange) -> StepCollector {
        StepCollector {
            range,
            created: None,
            ended: None,
            steps: Vec::new(),
            counted: 0,
            more: false,
            imported: 0,
        }
    }

    /// Returns whether another host ran some of the records.
    pub(super) fn is_imported(&self) -> bool {
        self.imported > 0
    }

    /// Takes the first record, if it has been read.
    pub(super) fn take_created(&mut self) -> Option<Box<CreatedRecord>> {
        self.created.take()
    }

    /// Takes the next record.
    pub(super) fn add(&mut self, scanned: ScannedRecord) {
        self.imported = scanned.imported;
        match scanned.record {
            Record::Created(created) => self.created = Some(created),
            Record::Request(request) => self.add_request(scanned.seq, &request),
            Record::Outcome(outcome) => self.add_outcome(scanned.seq, &outcome),
            Record::Exchange(_) => {}
            Record::Ended(ended) => self.ended = Some(ended),
        }
    }

    fn add_request(&mut self, seq: u64, request: &RequestRecord) {
        let counted = request.request.is_run();
        self.counted += u64::from(counted);
        if self.range.after.is_some_and(|after| seq <= after) {
            return;
        }
        if self.steps.len() >= self.range.limit {
            self.more = true;
            return;
        }
        let number = counted.then_some(self.counted);
        self.steps
            .push(summarize_request(seq, request, number, seq < self.imported));
    }

    fn add_outcome(&mut self, seq: u64, outcome: &OutcomeRecord) {
        let steps = &mut self.steps;
        let found = steps.binary_search_by_key(&outcome.of, |step| step.record);
        if let Some(step) = found.ok().and_then(|at| steps.get_mut(at)) {
            summarize_outcome(step, outcome, seq < self.imported);
        }
    }

    /// Returns the session with the steps; `open` is its summary if it is open. An
    /// imported session has the keys of the receipts that came with it.
    pub(super) fn finish(
        self,
        created: &CreatedRecord,
        episode: EpisodeId,
        open: Option<SessionSummary>,
        imported_receipt_keys: Vec<String>,
    ) -> SessionDetail {
        let determinism = replay::determinism(created);
        let ended = || SessionSummary {
            session: created.session.as_str().to_owned(),
            episode: episode.to_string(),
            environment: created.environment.as_str().to_owned(),
            component: created.component.to_string(),
            created_ms: created.start.as_millis(),
            imported_records: Some(self.imported).filter(|records| *records > 0),
            ended_ms: self.ended.as_ref().map(|ended| ended.at.as_millis()),
            state: self
                .ended
                .as_ref()
                .map_or("asleep", |ended| ended.reason.as_str()),
            attached: 0,
        };
        let last = self.steps.last().map(|step| step.record);
        SessionDetail {
            summary: open.unwrap_or_else(ended),
            seed: determinism.seed.to_string(),
            replayable: determinism.clock.is_replayable()
                && created.secrets != SealedSecrets::Withheld,
            parent: created.parent.map(|parent| ForkParent {
                episode: parent.episode.to_string(),
                record: parent.seq,
                imported: self.imported > 0,
            }),
            imported_receipt_keys,
            next: last.filter(|_| self.more),
            steps: self.steps,
        }
    }
}

/// Summarizes a request that has no outcome yet. `number` is that of a call or a
/// scoring.
pub(super) fn summarize_request(
    seq: u64,
    request: &RequestRecord,
    number: Option<u64>,
    imported: bool,
) -> StepSummary {
    StepSummary {
        record: seq,
        step: number,
        imported,
        at_ms: request.at.as_millis(),
        kind: request.request.as_str(),
        tool: request.request.tool().map(str::to_owned),
        task_id: request.run.as_ref().map(|run| run.id.to_string()),
        outcome: None,
        hash: None,
        reward: None,
        finished: false,
    }
}

/// Adds the outcome to the summary of its request.
pub(super) fn summarize_outcome(step: &mut StepSummary, recorded: &OutcomeRecord, imported: bool) {
    let outcome = recorded.outcome.as_ref();
    let output = outcome.and_then(GuestOutcome::output);
    // A request that a file left without an outcome is run here.
    step.imported = imported;
    step.outcome = Some(outcome.map_or("not kept", GuestOutcome::as_str));
    step.hash = Some(recorded.hash.to_string());
    step.reward = output
        .and_then(|output| output.reward)
        .map(|reward| reward.get());
    step.finished = output.is_some_and(|output| output.finished);
}
