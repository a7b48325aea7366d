//! Summarizes sessions and their steps.

use orwd_journal::{
    EpisodeHistory, EpisodeState, EpisodeStep, GuestOutcome, IndexedEpisode, RequestRecord,
    SealedSecrets,
};

use crate::actor::state::SharedState;
use crate::api::summary::{ForkParent, SessionDetail, SessionSummary, StepSummary};
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

/// Summarizes a session that is not open any more.
pub(super) fn ended_session(history: &EpisodeHistory) -> SessionSummary {
    let created = history.created();
    SessionSummary {
        session: created.session.as_str().to_owned(),
        episode: history.episode().to_string(),
        environment: created.environment.as_str().to_owned(),
        component: created.component.to_string(),
        created_ms: created.start.as_millis(),
        imported_records: Some(history.imported()).filter(|records| *records > 0),
        ended_ms: history.ended().map(|ended| ended.at.as_millis()),
        state: history
            .ended()
            .map_or("asleep", |ended| ended.reason.as_str()),
        attached: 0,
    }
}

/// Adds the steps of a session to its summary.
/// An imported session has the keys of the receipts that came with it.
pub(super) fn detail(
    summary: SessionSummary,
    history: &EpisodeHistory,
    imported_receipt_keys: Vec<String>,
) -> SessionDetail {
    let created = history.created();
    let determinism = replay::determinism(created);
    let mut count = 0;
    let steps = history.steps().iter();
    SessionDetail {
        summary,
        seed: determinism.seed.to_string(),
        replayable: determinism.clock.is_replayable() && created.secrets != SealedSecrets::Withheld,
        parent: created.parent.map(|parent| ForkParent {
            episode: parent.episode.to_string(),
            record: parent.seq,
        }),
        imported_receipt_keys,
        steps: steps
            .map(|step| summarize(step, !history.ran_here(step), &mut count))
            .collect(),
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

/// Summarizes a step; `count` is the number of counted steps before it.
pub(super) fn summarize(step: &EpisodeStep, imported: bool, count: &mut u64) -> StepSummary {
    let number = is_counted(step).then(|| {
        *count += 1;
        *count
    });
    let RequestRecord {
        at, request, run, ..
    } = &step.record;
    let result = step.outcome.as_ref().map(|outcome| &outcome.record);
    let outcome = result.and_then(|result| result.outcome.as_ref());
    let output = outcome.and_then(GuestOutcome::output);
    StepSummary {
        record: step.seq,
        step: number,
        imported,
        at_ms: at.as_millis(),
        kind: request.as_str(),
        tool: request.tool().map(str::to_owned),
        task_id: run.as_ref().map(|run| run.id.to_string()),
        outcome: result.map(|_| outcome.map_or("not kept", GuestOutcome::as_str)),
        hash: result.map(|result| result.hash.to_string()),
        reward: output
            .and_then(|output| output.reward)
            .map(|reward| reward.get()),
        finished: output.is_some_and(|output| output.finished),
    }
}

/// Returns whether a step has a number: calls and scorings do.
pub(super) fn is_counted(step: &EpisodeStep) -> bool {
    step.record.request.is_run()
}
