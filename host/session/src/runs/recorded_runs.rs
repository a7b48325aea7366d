//! Runs that the journal holds, for clients that ask for them later.

use std::time::{Duration, Instant};

use orwd_journal::{EpisodeHistory, GuestOutcome, RunIdentity};
use orwd_model::{EncodedSize, RunId, Timestamp};

use crate::actor::state::SharedState;
use crate::api::request::RequestFingerprint;
use crate::runs::run::Run;
use crate::runs::run_id::RunIdSigner;

/// What the journal holds of a run.
pub(crate) enum RunLookup {
    /// Its result.
    Finished(Run),
    /// Nothing.
    NotFound,
    /// The request, but not the result.
    ResultUnavailable,
}

/// Looks up a run in a history.
pub(crate) fn find(history: &EpisodeHistory, id: RunId) -> RunLookup {
    let step = history
        .steps()
        .iter()
        .find(|step| step.record.run.as_ref().is_some_and(|run| run.id == id));
    let Some(step) = step else {
        return RunLookup::NotFound;
    };
    step.outcome
        .as_ref()
        .and_then(|answer| answer.record.outcome.clone())
        .and_then(GuestOutcome::into_run)
        .map_or(RunLookup::ResultUnavailable, |outcome| {
            RunLookup::Finished(Run::finished(id, outcome))
        })
}

/// Restores what clients may ask for: the idempotency keys of all runs, and the
/// results of those that would still be cached.
pub(crate) fn restore(
    shared: &SharedState,
    history: &EpisodeHistory,
    run_ids: &RunIdSigner,
    result_ttl: Duration,
) {
    let now = Timestamp::now();
    // The locks are taken in this order everywhere.
    let mut retries = shared.retries();
    let mut runs = shared.runs();
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
        retries.record_key(mark.id, &fingerprint(mark));
        let is_fresh = step.record.at.saturating_add(result_ttl) >= now;
        if !(is_fresh || Some(index) == last) || runs.contains(mark.id) {
            continue;
        }
        if let Some(outcome) = answer
            .record
            .outcome
            .clone()
            .and_then(GuestOutcome::into_run)
        {
            let bytes = outcome.encoded_size();
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
