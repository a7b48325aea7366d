//! The guest of a session: its instance, and what the host remembers of the
//! episode beside it.
//!
//! [`Guest::open`] and [`Guest::perform`] are the one way to begin an episode
//! and to go on with it. They serve clients and rebuild sessions from the
//! journal alike, so that the two cannot come to differ. They are told nothing
//! but what the journal holds, and look at nothing but the guest.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use orwd_catalog::{Environment, InstanceOptions};
use orwd_engine::{CallError, EntryError, Episode};
use orwd_journal::{GuestOutcome, GuestRequest};
use orwd_model::{
    Fault, Json, Refusal, RefusalReason, Secrets, SessionId, SleepMode, Timestamp, ToolOutput,
    ToolSpec, python_repr,
};

/// An instance with an open episode.
pub(super) struct Guest {
    episode: Episode,
    /// A tool said that the episode is over; no tool is called after that.
    finished: bool,
    /// The setup succeeded, so that there is something to publish.
    set_up: bool,
}

/// Why there is no episode.
pub(super) enum NotOpen {
    /// No instance can be made.
    Start(Fault),
    /// The environment would not have it.
    Entry(EntryError),
}

impl NotOpen {
    /// Whether the host is to blame, so that it may work another time.
    pub(super) fn is_host_fault(&self) -> bool {
        match self {
            NotOpen::Start(fault) | NotOpen::Entry(EntryError::Fault(fault)) => {
                fault.code.is_host_fault()
            }
            NotOpen::Entry(EntryError::Failed(_)) => false,
        }
    }
}

impl From<EntryError> for NotOpen {
    fn from(error: EntryError) -> NotOpen {
        NotOpen::Entry(error)
    }
}

impl Guest {
    /// Makes an instance, opens the episode, and asks for the tools of its
    /// task where it may have some.
    pub(super) async fn open(
        env: &Environment,
        session: &SessionId,
        birth: InstanceOptions,
        slot: OwnedSemaphorePermit,
        task: &Json,
        secrets: Secrets,
    ) -> Result<(Guest, Vec<ToolSpec>), NotOpen> {
        let seed = birth.determinism.seed;
        let instance = env
            .start(session, birth, slot)
            .await
            .map_err(NotOpen::Start)?;
        let mut episode = Episode::open(instance, task, secrets, seed).await?;
        let tools = if env.description().supports.task_tools {
            episode.task_tools().await?
        } else {
            Vec::new()
        };
        let guest = Guest {
            episode,
            finished: false,
            set_up: false,
        };
        Ok((guest, tools))
    }

    /// Does what was asked at this moment. After [`GuestOutcome::Faulted`], and where
    /// this is dropped before it is through, the guest is gone and every later
    /// entry tells so.
    pub(super) async fn perform(&mut self, ask: &GuestRequest, at: Timestamp) -> GuestOutcome {
        let episode = &mut self.episode;
        episode.set_arrival(at);
        match ask {
            GuestRequest::Setup => {
                let outcome = told(episode.setup().await, |()| GuestOutcome::Done);
                self.set_up = matches!(outcome, GuestOutcome::Done);
                outcome
            }
            GuestRequest::Prompt => told(episode.prompt().await, GuestOutcome::Blocks),
            GuestRequest::Messages => told(episode.messages().await, GuestOutcome::Messages),
            GuestRequest::TaskTools => told(episode.task_tools().await, GuestOutcome::Tools),
            GuestRequest::Call { tool, .. } if self.finished => {
                GuestOutcome::Refused(episode_finished(tool))
            }
            GuestRequest::Call { tool, input } => {
                let outcome = called(tool, episode.call(tool, input).await);
                if let GuestOutcome::Output(output) = &outcome {
                    self.finished |= output.finished;
                }
                outcome
            }
            GuestRequest::Score { candidates } => {
                let count = candidates.len();
                match episode.score_group(candidates.clone()).await {
                    Ok(scores) if scores.len() != count => GuestOutcome::Failed(format!(
                        "score_group returned {} scores for {count} candidates",
                        scores.len()
                    )),
                    scores => told(scores, GuestOutcome::Scores),
                }
            }
            GuestRequest::Teardown => told(episode.teardown().await, |()| GuestOutcome::Done),
        }
    }

    /// Whether a sleeping guest is waited for.
    pub(super) fn set_sleep_mode(&mut self, sleep_mode: SleepMode) {
        self.episode.set_sleep_mode(sleep_mode);
    }

    /// CPU time that the last entry took.
    pub(super) fn spent(&self) -> Duration {
        self.episode.cpu_time()
    }

    /// Publishes what the episode wrote, if it began and may, and gives how
    /// many files that were. The last thing that is done with it, after the
    /// teardown.
    pub(super) async fn publish(self) -> Option<usize> {
        if self.set_up {
            self.episode.publish().await
        } else {
            None
        }
    }
}

fn told<T>(result: Result<T, EntryError>, answer: impl FnOnce(T) -> GuestOutcome) -> GuestOutcome {
    match result {
        Ok(value) => answer(value),
        Err(EntryError::Failed(message)) => GuestOutcome::Failed(message),
        Err(EntryError::Fault(fault)) => GuestOutcome::Faulted(fault),
    }
}

fn called(tool: &str, result: Result<ToolOutput, CallError>) -> GuestOutcome {
    let refused = |reason, message| GuestOutcome::Refused(Refusal { reason, message });
    match result {
        Ok(output) => GuestOutcome::Output(output),
        Err(CallError::NotFound) => GuestOutcome::Refused(Refusal::not_found(tool)),
        Err(CallError::InvalidInput(message)) => refused(RefusalReason::InputValidation, message),
        Err(CallError::Collision(message)) => refused(RefusalReason::NameCollision, message),
        Err(CallError::Entry(error)) => told(Err(error), GuestOutcome::Output),
    }
}

fn episode_finished(tool: &str) -> Refusal {
    Refusal {
        reason: RefusalReason::EpisodeFinished,
        message: format!(
            "{} was not run: the episode has finished (a tool returned finished=True), \
             so no further tool calls are accepted.",
            python_repr(tool)
        ),
    }
}
