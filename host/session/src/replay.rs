//! An episode done again from what is written down of it.
//!
//! The guest is opened as it was, and asked the same at the same moments; what
//! comes of it is held against what came of it then. A fault that was recorded
//! is not sought again: it may have been the machine's, as a limit on time is.

use tokio::sync::OwnedSemaphorePermit;

use super::guest::{Guest, NotOpen};
use super::record::timestamp;
use orwd_catalog::{Birth, Environment};
use orwd_engine::EntryError;
use orwd_journal::{Created, History, Outcome, Step};
use orwd_model::{ClockMode, DataDigest, Genesis, Pace, Secrets, Seed, ToolSpec};

/// An episode on its way through its past.
pub(super) struct Replay<'h> {
    pub(super) guest: Guest,
    /// The tools that its task added in the beginning.
    pub(super) tools: Vec<ToolSpec>,
    rest: std::slice::Iter<'h, Step>,
}

/// A step that was done again.
pub(super) struct Done<'h> {
    pub(super) step: &'h Step,
    /// What came of it now; none if that was a fault then, which is not done
    /// again and ends the replay.
    pub(super) seen: Option<Outcome>,
}

impl Done<'_> {
    /// Whether the same came of it. What was never answered cannot differ, and
    /// what was published is not published again: there, that the teardown went
    /// well is all that there is to be the same.
    pub(super) fn is_same(&self) -> bool {
        match (&self.seen, &self.step.answer) {
            (Some(Outcome::Done), Some(answer)) if published(&answer.answered) => true,
            (Some(seen), Some(answer)) => seen.hash() == answer.answered.hash,
            _ => true,
        }
    }
}

impl<'h> Replay<'h> {
    /// Opens the episode as it was opened.
    pub(super) async fn open(
        env: &Environment,
        history: &'h History,
        secrets: Secrets,
        slot: OwnedSemaphorePermit,
    ) -> Result<Replay<'h>, NotOpen> {
        let created = history.created();
        let birth = Birth {
            genesis: genesis(created),
            pace: Pace::Replay,
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
        let answer = step.answer.as_ref()?;
        if fault(&answer.answered).is_some() {
            self.rest = [].iter();
            return Some(Done { step, seen: None });
        }
        let at = timestamp(step.asked.at);
        let seen = self.guest.perform(&step.asked.ask, at).await;
        if matches!(seen, Outcome::Faulted(_)) {
            self.rest = [].iter();
        }
        let seen = Some(seen);
        Some(Done { step, seen })
    }
}

/// Whether something was published with it.
fn published(answered: &orwd_journal::Answered) -> bool {
    matches!(answered.outcome, Some(Outcome::Published { .. }))
}

/// The fault that an answer tells of.
pub(super) fn fault(answered: &orwd_journal::Answered) -> Option<&orwd_model::Fault> {
    match &answered.outcome {
        Some(Outcome::Faulted(fault)) => Some(fault),
        _ => None,
    }
}

/// What the episode was born with.
pub(super) fn genesis(created: &Created) -> Genesis {
    Genesis {
        seed: seed(created),
        start: timestamp(created.start),
        clock: match created.clock {
            orwd_journal::ClockMode::Virtual => ClockMode::Virtual,
            orwd_journal::ClockMode::Real => ClockMode::Real,
        },
    }
}

/// The seed, which the journal keeps as bytes.
fn seed(created: &Created) -> Seed {
    let bytes = created.seed.first_chunk().copied().unwrap_or_default();
    Seed::new(u64::from_be_bytes(bytes))
}

/// Why an episode cannot be done again over this data; none if it can.
pub(super) fn other_data(created: &Created, now: Option<DataDigest>) -> Option<String> {
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
