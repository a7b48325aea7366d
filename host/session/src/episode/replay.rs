//! Replays an episode from its journal.
//!
//! The guest is opened as it was and gets the same requests at the same times;
//! the results are compared by hash. A recorded fault is not replayed: it may
//! have depended on the machine, as a time limit does.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use orwd_catalog::Environment;
use orwd_engine::{EntryError, HttpMode, LiveHttp, SessionPermit};
use orwd_journal::{
    CreatedRecord, EpisodeHistory, EpisodeStep, GuestOutcome, GuestRequest, Hash, JournalError,
    OutcomeRecord, StepOutcome,
};
use orwd_model::{
    DataDigest, DeterminismConfig, DiskBudget, Fault, HttpExchange, LimitSet, MemoryBudget,
    Secrets, SessionLimits, SleepMode, Timestamp, ToolSpec,
};
use tokio::sync::mpsc;

use crate::episode::guest::{Guest, OpenError};
use crate::episode::typed_request::enter;

/// Where the steps of a replay come from.
pub(crate) trait StepSource: Send {
    /// A step, or a reference to one.
    type Step: Borrow<EpisodeStep> + Send + Sync;

    /// Returns the next step; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Step>, JournalError>> + Send;
}

impl<'h> StepSource for std::slice::Iter<'h, EpisodeStep> {
    type Step = &'h EpisodeStep;

    async fn next(&mut self) -> Result<Option<&'h EpisodeStep>, JournalError> {
        Ok(Iterator::next(self))
    }
}

/// What a guest shares with others of its owner, if anything.
#[derive(Default)]
pub(crate) struct GuestBudgets {
    /// The disk space of its temporary file.
    pub(crate) disk: Option<Arc<dyn DiskBudget>>,
    /// The memory that it grows by.
    pub(crate) memory: Option<Arc<dyn MemoryBudget>>,
}

/// An episode whose history is being replayed.
pub(crate) struct Replay<S> {
    pub(crate) guest: Guest,
    /// The tools of its task when it was opened.
    pub(crate) tools: Vec<ToolSpec>,
    steps: S,
    /// Whether nothing more can be replayed.
    ended: bool,
    /// What the guest had seen of its data at this point, if that is recorded.
    observed: Option<Hash>,
    /// The guest's HTTP requests are sent again.
    live: bool,
}

/// A step that was replayed.
pub(crate) struct ReplayedStep<T> {
    pub(crate) step: T,
    /// The new result. None if the recorded one is a fault, which ends the
    /// replay.
    pub(crate) outcome: Option<GuestOutcome>,
    /// Whether the guest has seen the same of its data.
    pub(crate) saw_same: bool,
    /// The HTTP requests that were sent again.
    pub(crate) asked: Vec<HttpExchange>,
}

impl<T: Borrow<EpisodeStep>> ReplayedStep<T> {
    /// Returns whether the result is the same. A step without a recorded result
    /// cannot differ. Files are not published again, so a teardown that
    /// published equals one that succeeds.
    pub(crate) fn is_same(&self) -> bool {
        match (&self.outcome, &self.step.borrow().outcome) {
            (Some(GuestOutcome::Done), Some(answer)) if published(&answer.record) => true,
            (Some(outcome), Some(answer)) => outcome.hash() == answer.record.hash,
            _ => true,
        }
    }
}

impl<S: StepSource> Replay<S> {
    /// Opens the episode as it was opened. Of the history only the beginning is
    /// used; the steps come from `steps`.
    pub(crate) async fn open(
        env: &Environment,
        history: &EpisodeHistory,
        steps: S,
        secrets: Secrets,
        permit: SessionPermit,
        budgets: GuestBudgets,
    ) -> Result<Replay<S>, OpenError> {
        let created = history.created();
        let mut config = env.instance_config(&created.session, determinism(created));
        config.sleep_mode = SleepMode::Skip;
        config.limits = limits(history, env);
        config.mode = created.mode.within(env.mode());
        config.label.owner = created.owner.as_deref().unwrap_or_default().into();
        config.observe = created.observed.is_some();
        config.disk = budgets.disk;
        config.memory = budgets.memory;
        let (guest, tools) = Guest::open(
            env,
            config,
            permit,
            &created.task,
            secrets,
            created.toolset.clone(),
        )
        .await?;
        Ok(Replay {
            guest,
            tools,
            steps,
            ended: false,
            observed: created.observed,
            live: false,
        })
    }

    /// Sends the guest's HTTP requests again, in place of serving them from the
    /// record.
    pub(crate) fn ask_again(&mut self) {
        self.live = true;
    }

    /// Returns whether the guest has seen the same of its data up to here.
    pub(crate) fn saw_same(&self) -> bool {
        self.guest.observed() == self.observed
    }

    /// Replays the next step; none if no more steps have a recorded result.
    pub(crate) async fn next(&mut self) -> Result<Option<ReplayedStep<S::Step>>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        let Some(found) = self.steps.next().await? else {
            return Ok(None);
        };
        let step: &EpisodeStep = found.borrow();
        let Some(answer) = &step.outcome else {
            return Ok(None);
        };
        if recorded_fault(answer).is_some() {
            self.ended = true;
            return Ok(Some(ReplayedStep {
                step: found,
                outcome: None,
                saw_same: true,
                asked: Vec::new(),
            }));
        }
        let at = step.record.at;
        // An episode whose content is not kept is not replayed.
        let made = step.recorded_exchanges().unwrap_or_default();
        let mut asked = Vec::new();
        let request = &step.record.request;
        let outcome = if self.live {
            enter_live(&mut self.guest, request, at, &mut asked).await
        } else {
            let http = HttpMode::Replay(made.into());
            enter(&mut self.guest, request, at, http).await
        };
        if matches!(outcome, GuestOutcome::Faulted(_)) {
            self.ended = true;
        }
        if self.observed.is_some() && answer.record.observed.is_some() {
            self.observed = answer.record.observed;
        }
        Ok(Some(ReplayedStep {
            step: found,
            outcome: Some(outcome),
            saw_same: self.saw_same(),
            asked,
        }))
    }
}

/// Performs a request, and collects the HTTP requests that the guest sends.
async fn enter_live(
    guest: &mut Guest,
    request: &GuestRequest,
    at: Timestamp,
    asked: &mut Vec<HttpExchange>,
) -> GuestOutcome {
    let (recorder, mut results) = mpsc::channel(1);
    let http = HttpMode::Live(LiveHttp {
        made: VecDeque::new(),
        in_doubt: false,
        recorder,
    });
    let mut entered = pin!(enter(guest, request, at, http));
    loop {
        let made = tokio::select! {
            biased;
            outcome = &mut entered => return outcome,
            Some(made) = results.recv() => made,
        };
        asked.push(made.exchange);
        // The guest may be stopped.
        let _ = made.recorded.send(());
    }
}

/// Returns the limits of an episode: those that it began with. A file may state
/// any, so those of an imported episode are capped by the operator's.
pub(crate) fn limits(history: &EpisodeHistory, env: &Environment) -> SessionLimits {
    let limits = history.created().limits.in_range();
    match history.imported() {
        0 => limits,
        _ => limits.capped_by(env.limits()),
    }
}

fn published(answered: &OutcomeRecord) -> bool {
    matches!(answered.outcome, Some(GuestOutcome::Published { .. }))
}

/// Returns the fault that is recorded as the outcome of a step, if any.
pub(crate) fn recorded_fault(outcome: &StepOutcome) -> Option<&Fault> {
    outcome
        .record
        .outcome
        .as_ref()
        .and_then(GuestOutcome::fault)
}

/// Returns the seed and the clock of an episode.
pub(crate) fn determinism(created: &CreatedRecord) -> DeterminismConfig {
    DeterminismConfig {
        seed: created.seed,
        start: created.start,
        clock: created.clock,
    }
}

/// Returns how the data differs from that at the creation of the episode; none
/// if it does not.
pub(crate) fn data_mismatch(created: &CreatedRecord, now: Option<DataDigest>) -> Option<String> {
    match (created.data, now) {
        (Some(then), Some(now)) if then != now => Some(format!(
            "its data has changed: the digest was {then} and is {now} now"
        )),
        (Some(then), None) => Some(format!(
            "its data is missing: the digest was {then} and there is no data now"
        )),
        (None, Some(now)) => Some(format!(
            "it had no data at its creation, and there is data with the digest {now} now"
        )),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// Returns, for people, why an episode cannot be opened again.
pub(crate) fn describe(error: &OpenError) -> String {
    match error {
        OpenError::Start(fault) => format!("no instance can be created: {fault}"),
        // The environment's own message is not for the log.
        OpenError::Entry(EntryError::Failed(_)) => {
            "it cannot be opened again: the environment refused".to_owned()
        }
        OpenError::Entry(EntryError::Fault(fault)) => format!("it cannot be opened again: {fault}"),
    }
}
