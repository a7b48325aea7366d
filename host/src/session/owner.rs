//! The task that owns a session: it alone enters the guest.
//!
//! What is asked of a session comes through a queue and is done one thing
//! after another, in the order of arrival. A fault ends the guest and with
//! it the session; the task then only waits to be deleted. Deleting cancels a
//! setup, but never a call: those that have begun or wait finish first.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::ask::{Ask, Outcome};
use super::guest::Guest;
use super::run::{Go, Promise};
use super::service::{Conversation, SessionError};
use super::state::{Busy, Phase, Shared};
use crate::engine::Instance;
use crate::model::{Fault, FaultCode, RunOutcome, TaskId, ToolSpec, Weigh};

/// Something asked of a session.
pub(super) enum Command {
    Prompt(Reply<Conversation>, Busy),
    Messages(Reply<Conversation>, Busy),
    TaskTools(Reply<Vec<ToolSpec>>, Busy),
    Run(Box<Job>, Busy),
    /// Finish what is queued, tear down and end; the reply comes after.
    Delete(oneshot::Sender<()>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, SessionError>>;

/// A run that was announced.
pub(super) struct Job {
    pub(super) id: TaskId,
    pub(super) ask: Ask,
    pub(super) promise: Promise,
    /// Comes once the run's id is on its way to the client.
    pub(super) go: Go,
}

/// The owner.
pub(super) struct Owner {
    shared: Arc<Shared>,
    holding: Holding,
}

/// What the owner has of the guest.
enum Holding {
    /// All of it.
    Awake(Box<Guest>),
    /// Nothing, and it never comes back.
    Gone,
}

impl Owner {
    /// Of an instance whose episode was just opened.
    pub(super) fn new(shared: Arc<Shared>, instance: Instance) -> Owner {
        Owner {
            shared,
            holding: Holding::Awake(Box::new(Guest::new(instance))),
        }
    }

    /// Sets the episode up, then does what is asked until the session ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.set_up().await;
        let mut deleted = None;
        while let Some(command) = commands.recv().await {
            match command {
                Command::Prompt(reply, busy) => {
                    let asked = if self.shared.environment.description().supports.prompts {
                        Ask::Prompt
                    } else {
                        Ask::Messages
                    };
                    let prompt = self.answer(&asked).await;
                    drop(busy);
                    let _ = reply.send(prompt.and_then(Outcome::into_conversation));
                }
                Command::Messages(reply, busy) => {
                    let asked = if self.shared.environment.description().supports.messages {
                        Ask::Messages
                    } else {
                        Ask::Prompt
                    };
                    let messages = self.answer(&asked).await;
                    drop(busy);
                    let _ = reply.send(messages.and_then(Outcome::into_conversation));
                }
                Command::TaskTools(reply, busy) => {
                    let tools = self.answer(&Ask::TaskTools).await;
                    drop(busy);
                    let _ = reply.send(tools.and_then(Outcome::into_tools));
                }
                Command::Run(job, busy) => {
                    let Job {
                        id,
                        ask,
                        promise,
                        go,
                    } = *job;
                    // Whoever announced the run starts it, come what may.
                    let _ = go.await;
                    let outcome = match self.answer(&ask).await {
                        Ok(outcome) => outcome.into_run(),
                        Err(error) => not_run(error),
                    };
                    let bytes = outcome.weight();
                    self.shared.runs().finish(id, bytes, Instant::now());
                    drop(busy);
                    promise.keep(outcome);
                }
                Command::Delete(reply) => {
                    // What is queued is still received, and then the end.
                    commands.close();
                    deleted = Some(reply);
                }
            }
        }
        self.tear_down().await;
        if let Some(reply) = deleted {
            let _ = reply.send(());
        }
    }

    async fn set_up(&mut self) {
        let Holding::Awake(guest) = &mut self.holding else {
            return;
        };
        let mut phase = self.shared.phase.subscribe();
        let deleted = phase.wait_for(|phase| matches!(phase, Phase::Deleted));
        let outcome = tokio::select! {
            outcome = guest.perform(&Ask::Setup) => Some(outcome),
            // The guest stands where it stood; it goes unentered.
            _ = deleted => None,
        };
        match outcome {
            None => self.holding = Holding::Gone,
            Some(Outcome::Faulted(fault)) => self.end(&fault),
            Some(Outcome::Failed(message)) => {
                tracing::info!(
                    session = %self.shared.id,
                    environment = %self.shared.environment.name(),
                    "setup failed"
                );
                // The guest is kept, so that a teardown can still tidy up.
                self.shared.advance(Phase::SetupFailed(message));
            }
            Some(_) => self.shared.advance(Phase::Ready),
        }
    }

    /// The guest is gone: so is the session, but for its results.
    fn end(&mut self, fault: &Fault) {
        self.holding = Holding::Gone;
        let (session, environment) = (&self.shared.id, self.shared.environment.name());
        let code = fault.code.as_str();
        if fault.code.is_ours() {
            tracing::error!(%session, %environment, code, "a session ended: {}", fault.message);
        } else {
            tracing::warn!(%session, %environment, code, "a session ended: {}", fault.message);
        }
        self.shared.advance(Phase::Faulted(fault.clone()));
    }

    /// The guest, if the session is in a state to answer.
    fn ready(&mut self) -> Result<&mut Guest, SessionError> {
        let verdict = self.shared.phase.borrow().verdict();
        match (verdict, &mut self.holding) {
            // A deleted session still does what was asked before.
            (Some(Ok(()) | Err(SessionError::Deleted)), Holding::Awake(guest)) => Ok(guest),
            (Some(Err(error)), _) => Err(error),
            (None | Some(Ok(())), _) => Err(SessionError::Starting),
        }
    }

    /// Asks the guest. A fault ends the session.
    async fn answer(&mut self, ask: &Ask) -> Result<Outcome, SessionError> {
        let outcome = self.ready()?.perform(ask).await;
        if let Outcome::Faulted(fault) = &outcome {
            self.end(fault);
        }
        Ok(outcome)
    }

    /// Whatever comes of it, the session is over: it is only told to the log.
    /// What an episode wrote that began is published at last.
    async fn tear_down(&mut self) {
        let Holding::Awake(mut guest) = std::mem::replace(&mut self.holding, Holding::Gone) else {
            return;
        };
        let why = match guest.perform(&Ask::Teardown).await {
            Outcome::Failed(message) => Some(message),
            Outcome::Faulted(fault) => Some(fault.to_string()),
            _ => None,
        };
        if let Some(why) = why {
            let environment = self.shared.environment.name();
            tracing::info!(session = %self.shared.id, %environment, "teardown failed: {why}");
        }
        guest.publish().await;
    }
}

/// A run that found its session gone.
fn not_run(error: SessionError) -> RunOutcome {
    match error {
        SessionError::Gone(fault) | SessionError::Faulted(fault) => RunOutcome::Faulted(fault),
        SessionError::SetupFailed(message) | SessionError::Failed(message) => {
            RunOutcome::Failed(message)
        }
        SessionError::Deleted | SessionError::Starting => RunOutcome::Faulted(Fault::new(
            FaultCode::Interrupted,
            "the session ended before the call began",
        )),
    }
}
