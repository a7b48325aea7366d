//! The guest of a session: its instance, and what the host remembers of the
//! episode beside it.
//!
//! [`Guest::open`] and [`Guest::perform`] are the one way to begin an episode
//! and to go on with it. They serve clients and rebuild sessions from the
//! journal alike, so that the two cannot come to differ. They are told nothing
//! but what the journal holds, and look at nothing but the guest.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use orwd_catalog::{Birth, Environment};
use orwd_engine::{CallError, EntryError, Instance};
use orwd_journal::{Ask, Outcome};
use orwd_model::{
    Fault, Json, Pace, Refusal, RefusalReason, Secrets, SessionId, Timestamp, ToolOutput, ToolSpec,
    quoted,
};

/// An instance with an open episode.
pub(super) struct Guest {
    instance: Instance,
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
    pub(super) fn is_ours(&self) -> bool {
        match self {
            NotOpen::Start(fault) | NotOpen::Entry(EntryError::Fault(fault)) => {
                fault.code.is_ours()
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
        birth: Birth,
        slot: OwnedSemaphorePermit,
        task: &Json,
        secrets: Secrets,
    ) -> Result<(Guest, Vec<ToolSpec>), NotOpen> {
        let seed = birth.genesis.seed;
        let mut instance = env
            .start(session, birth, slot)
            .await
            .map_err(NotOpen::Start)?;
        instance.open(task, secrets, seed).await?;
        let tools = if env.description().supports.task_tools {
            instance.task_tools().await?
        } else {
            Vec::new()
        };
        let guest = Guest {
            instance,
            finished: false,
            set_up: false,
        };
        Ok((guest, tools))
    }

    /// Does what was asked at this moment. After [`Outcome::Faulted`], and where
    /// this is dropped before it is through, the guest is gone and every later
    /// entry tells so.
    pub(super) async fn perform(&mut self, ask: &Ask, at: Timestamp) -> Outcome {
        let instance = &mut self.instance;
        instance.arrive(at);
        match ask {
            Ask::Setup => {
                let outcome = told(instance.setup().await, |()| Outcome::Done);
                self.set_up = matches!(outcome, Outcome::Done);
                outcome
            }
            Ask::Prompt => told(instance.prompt().await, Outcome::Blocks),
            Ask::Messages => told(instance.messages().await, Outcome::Messages),
            Ask::TaskTools => told(instance.task_tools().await, Outcome::Tools),
            Ask::Call { tool, .. } if self.finished => Outcome::Refused(episode_finished(tool)),
            Ask::Call { tool, input } => {
                let outcome = called(tool, instance.call(tool, input).await);
                if let Outcome::Output(output) = &outcome {
                    self.finished |= output.finished;
                }
                outcome
            }
            Ask::Score { candidates } => {
                let count = candidates.len();
                match instance.score_group(candidates.clone()).await {
                    Ok(scores) if scores.len() != count => Outcome::Failed(format!(
                        "score_group returned {} scores for {count} candidates",
                        scores.len()
                    )),
                    scores => told(scores, Outcome::Scores),
                }
            }
            Ask::Teardown => told(instance.teardown().await, |()| Outcome::Done),
        }
    }

    /// Whether a sleeping guest is waited for.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.instance.set_pace(pace);
    }

    /// CPU time that the last entry took.
    pub(super) fn spent(&self) -> Duration {
        self.instance.spent()
    }

    /// Publishes what the episode wrote, if it began and may, and gives how
    /// many files that were. The last thing that is done with it, after the
    /// teardown.
    pub(super) async fn publish(self) -> Option<usize> {
        if self.set_up {
            self.instance.publish().await
        } else {
            None
        }
    }
}

fn told<T>(result: Result<T, EntryError>, answer: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(value) => answer(value),
        Err(EntryError::Failed(message)) => Outcome::Failed(message),
        Err(EntryError::Fault(fault)) => Outcome::Faulted(fault),
    }
}

fn called(tool: &str, result: Result<ToolOutput, CallError>) -> Outcome {
    let refused = |reason, message| Outcome::Refused(Refusal { reason, message });
    match result {
        Ok(output) => Outcome::Output(output),
        Err(CallError::NotFound) => Outcome::Refused(Refusal::not_found(tool)),
        Err(CallError::InvalidInput(message)) => refused(RefusalReason::InputValidation, message),
        Err(CallError::Collision(message)) => refused(RefusalReason::NameCollision, message),
        Err(CallError::Entry(error)) => told(Err(error), Outcome::Output),
    }
}

fn episode_finished(tool: &str) -> Refusal {
    Refusal {
        reason: RefusalReason::EpisodeFinished,
        message: format!(
            "{} was not run: the episode has finished (a tool returned finished=True), \
             so no further tool calls are accepted.",
            quoted(tool)
        ),
    }
}
