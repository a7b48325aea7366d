//! Summarizes sessions and their steps.

use orwd_journal::{
    CreatedRecord, EndedRecord, EpisodeId, EpisodeStep, GuestOutcome, OutcomeRecord, Record,
    RequestRecord, ScannedRecord, SealedSecrets,
};
use orwd_model::SessionId;

use crate::actor::state::SharedState;
use crate::api::error::AdminError;
use crate::api::summary::{ForkParent, SessionDetail, SessionSummary, StepPage, StepSummary};
use crate::episode::replay;

/// Summarizes an open session.
pub(super) fn open_session(shared: &SharedState) -> SessionSummary {
    let identity = &shared.identity;
    SessionSummary {
        session: identity.id.as_str().to_owned(),
        environment: identity.environment.as_str().to_owned(),
        component: identity.component.to_string(),
        created_ms: identity.created.as_millis(),
        imported_records: identity.import.as_ref().map(|import| import.records),
        state: shared.phase.borrow().as_str(),
        attached: shared.retries().attached(),
    }
}

/// The steps of one page, collected while the history of a session is read. Of
/// everything else only the first and the last record are kept.
pub(super) struct StepCollector {
    page: StepPage,
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
    pub(super) fn new(page: StepPage) -> StepCollector {
        StepCollector {
            page,
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

    /// Takes the next record.
    pub(super) fn add(&mut self, scanned: ScannedRecord) {
        self.imported = scanned.imported;
        match scanned.record {
            Record::Created(created) => self.created = Some(created),
            Record::Request(request) => self.add_request(scanned.seq, &request),
            Record::Outcome(outcome) => {
                let steps = &mut self.steps;
                let found = steps.binary_search_by_key(&outcome.of, |step| step.record);
                if let Some(step) = found.ok().and_then(|at| steps.get_mut(at)) {
                    // A request that a file left without an outcome is run here.
                    step.imported = scanned.seq < scanned.imported;
                    add_outcome(step, &outcome);
                }
            }
            Record::Ended(ended) => self.ended = Some(ended),
        }
    }

    fn add_request(&mut self, seq: u64, request: &RequestRecord) {
        let counted = request.request.is_run();
        self.counted += u64::from(counted);
        if self.page.after.is_some_and(|after| seq <= after) {
            return;
        }
        if self.steps.len() >= self.page.limit {
            self.more = true;
            return;
        }
        self.steps.push(StepSummary {
            record: seq,
            step: counted.then_some(self.counted),
            imported: seq < self.imported,
            at_ms: request.at.as_millis(),
            kind: request.request.as_str(),
            tool: request.request.tool().map(str::to_owned),
            task_id: request.run.as_ref().map(|run| run.id.to_string()),
            outcome: None,
            hash: None,
            reward: None,
            finished: false,
        });
    }

    /// Returns the session with the steps; `open` is its summary if it is open.
    pub(super) fn finish(
        self,
        session: &SessionId,
        episode: EpisodeId,
        open: Option<SessionSummary>,
        imported_receipt_keys: Vec<String>,
    ) -> Result<SessionDetail, AdminError> {
        let created = self.created.ok_or(AdminError::NoSession)?;
        let determinism = replay::determinism(&created);
        let ended = || SessionSummary {
            session: session.as_str().to_owned(),
            environment: created.environment.as_str().to_owned(),
            component: created.component.to_string(),
            created_ms: created.start.as_millis(),
            imported_records: Some(self.imported).filter(|records| *records > 0),
            state: self.ended.map_or("asleep", |ended| ended.reason.as_str()),
            attached: 0,
        };
        let last = self.steps.last().map(|step| step.record);
        Ok(SessionDetail {
            summary: open.unwrap_or_else(ended),
            episode: episode.to_string(),
            seed: determinism.seed.to_string(),
            replayable: determinism.clock.is_replayable()
                && created.secrets != SealedSecrets::Withheld,
            parent: created.parent.map(|parent| ForkParent {
                episode: parent.episode.to_string(),
                record: parent.seq,
            }),
            imported_receipt_keys,
            next: last.filter(|_| self.more),
            steps: self.steps,
        })
    }
}

fn add_outcome(step: &mut StepSummary, recorded: &OutcomeRecord) {
    let outcome = recorded.outcome.as_ref();
    let output = outcome.and_then(GuestOutcome::output);
    step.outcome = Some(outcome.map_or("not kept", GuestOutcome::as_str));
    step.hash = Some(recorded.hash.to_string());
    step.reward = output
        .and_then(|output| output.reward)
        .map(|reward| reward.get());
    step.finished = output.is_some_and(|output| output.finished);
}

/// Returns whether a step has a number: calls and scorings do.
pub(super) fn is_counted(step: &EpisodeStep) -> bool {
    step.record.request.is_run()
}
