//! An episode done again from what is written down of it.
//!
//! The guest is opened as it was, and asked the same at the same moments; what
//! comes of it is held against what came of it then. A fault that was recorded
//! is not sought again: it may have been the machine's, as a limit on time is.

use tokio::sync::OwnedSemaphorePermit;

use super::guest::{Guest, NotOpen};
use orwd_catalog::{Environment, InstanceOptions};
use orwd_engine::EntryError;
use orwd_journal::{CreatedRecord, EpisodeHistory, EpisodeStep, GuestOutcome, OutcomeRecord};
use orwd_model::{DataDigest, DeterminismConfig, Secrets, SleepMode, ToolSpec};

/// An episode on its way through its past.
pub(super) struct Replay<'h> {
    pub(super) guest: Guest,
    /// The tools that its task added in the beginning.
    pub(super) tools: Vec<ToolSpec>,
    rest: std::slice::Iter<'h, EpisodeStep>,
}

/// A step that was done again.
pub(super) struct Done<'h> {
    pub(super) step: &'h EpisodeStep,
    /// What came of it now; none if that was a fault then, which is not done
    /// again and ends the replay.
    pub(super) seen: Option<GuestOutcome>,
}

impl Done<'_> {
    /// Whether the same came of it. What was never answered cannot differ, and
    /// what was published is not published again: there, that the teardown went
    /// well is all that there is to be the same.
    pub(super) fn is_same(&self) -> bool {
        match (&self.seen, &self.step.outcome) {
            (Some(GuestOutcome::Done), Some(answer)) if published(&answer.record) => true,
            (Some(seen), Some(answer)) => seen.hash() == answer.record.hash,
            _ => true,
        }
    }
}

impl<'h> Replay<'h> {
    /// Opens the episode as it was opened.
    pub(super) async fn open(
        env: &Environment,
        history: &'h EpisodeHistory,
        secrets: Secrets,
        slot: OwnedSemaphorePermit,
    ) -> Result<Replay<'h>, NotOpen> {
        let created = history.created();
        let birth = InstanceOptions {
            determinism: determinism(created),
            sleep_mode: SleepMode::Skip,
            limits: created.limits,
            mode: created.mode.within(env.mode()),
        };
        let (guest, tools) =
            Guest::open(env, &created.session, birth, slot, &created.task, secrets).await?;
        Ok(Replay {
            guest,
            tools,
            rest: history.steps().iter(),
        })
    }

    /// Does the next step again; none when there are no more that were
    /// answered.
    pub(super) async fn next(&mut self) -> Option<Done<'h>> {
        let step = self.rest.next()?;
        let answer = step.outcome.as_ref()?;
        if fault(&answer.record).is_some() {
            self.rest = [].iter();
            return Some(Done { step, seen: None });
        }
        let at = step.record.at;
        let seen = self.guest.perform(&step.record.request, at).await;
        if matches!(seen, GuestOutcome::Faulted(_)) {
            self.rest = [].iter();
        }
        let seen = Some(seen);
        Some(Done { step, seen })
    }
}

/// Whether something was published with it.
fn published(answered: &OutcomeRecord) -> bool {
    matches!(answered.outcome, Some(GuestOutcome::Published { .. }))
}

/// The fault that an answer tells of.
pub(super) fn fault(answered: &OutcomeRecord) -> Option<&orwd_model::Fault> {
    match &answered.outcome {
        Some(GuestOutcome::Faulted(fault)) => Some(fault),
        _ => None,
    }
}

/// What the episode was born with.
pub(super) fn determinism(created: &CreatedRecord) -> DeterminismConfig {
    DeterminismConfig {
        seed: created.seed,
        start: created.start,
        clock: created.clock,
    }
}

/// Why an episode cannot be done again over this data; none if it can.
pub(super) fn other_data(created: &CreatedRecord, now: Option<DataDigest>) -> Option<String> {
    match (created.data, now) {
        (then, now) if then == now => None,
        (Some(then), Some(now)) => Some(format!(
            "its data is not what it was: it began over {then}, and there is {now} now"
        )),
        (Some(then), None) => Some(format!(
            "its data is not there: it began over {then}, and there is none now"
        )),
        (None, now) => Some(format!(
            "it began without data, and there is {} now",
            now.map_or("none".to_owned(), |now| now.to_string())
        )),
    }
}

/// Why an episode cannot be opened again, in words.
pub(super) fn why_not(error: &NotOpen) -> String {
    match error {
        NotOpen::Start(fault) => format!("no instance can be made again: {fault}"),
        // In its own words, which are nothing for the log.
        NotOpen::Entry(EntryError::Failed(_)) => {
            "it cannot be opened again: the environment refuses it".to_owned()
        }
        NotOpen::Entry(EntryError::Fault(fault)) => format!("it cannot be opened again: {fault}"),
    }
}
