//! The guest of a session: its instance, and what the host remembers of the
//! episode beside it.
//!
//! [`Guest::perform`] is the one way to enter an open episode. It serves the
//! calls of clients and rebuilds a session from its journal alike, so that the
//! two cannot come to differ. It is told nothing but the [`Ask`], and looks at
//! nothing but the guest.

use super::ask::{Ask, Outcome};
use crate::engine::{CallError, EntryError, Instance};
use crate::model::{Refusal, RefusalReason, Timestamp, quoted};

/// An instance with an open episode.
pub(super) struct Guest {
    instance: Instance,
    /// A tool said that the episode is over; no tool is called after that.
    finished: bool,
    /// The setup succeeded, so that there is something to publish.
    set_up: bool,
}

impl Guest {
    /// An instance whose episode was just opened.
    pub(super) fn new(instance: Instance) -> Guest {
        Guest {
            instance,
            finished: false,
            set_up: false,
        }
    }

    /// Does what is asked. After [`Outcome::Faulted`], and where this is
    /// dropped before it is through, the guest is gone and every later entry
    /// tells so.
    pub(super) async fn perform(&mut self, ask: &Ask) -> Outcome {
        let instance = &mut self.instance;
        instance.arrive(Timestamp::now());
        match ask {
            Ask::Setup => {
                let outcome = told(instance.setup().await, |()| Outcome::Done);
                self.set_up = matches!(outcome, Outcome::Done);
                outcome
            }
            Ask::Prompt => told(instance.prompt().await, Outcome::Prompt),
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
            Ask::Score(candidates) => {
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

    /// Publishes what the episode wrote, if it began and may. The last thing
    /// that is done with it, after the teardown.
    pub(super) async fn publish(self) {
        if self.set_up {
            self.instance.publish().await;
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

fn called(tool: &str, result: Result<crate::model::ToolOutput, CallError>) -> Outcome {
    let refused = |reason, message| Outcome::Refused(Refusal { reason, message });
    match result {
        Ok(output) => Outcome::Output(output),
        Err(CallError::NotFound) => Outcome::Refused(Refusal::not_found(tool)),
        Err(CallError::InvalidInput(message)) => refused(RefusalReason::InputValidation, message),
        Err(CallError::Collision(message)) => refused(RefusalReason::NameCollision, message),
        Err(CallError::Entry(error)) => told(Err(error), |()| Outcome::Done),
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
