//! The task that owns a session: it alone enters the instance.
//!
//! What is asked of a session comes through a queue and is done one thing
//! after another, in the order of arrival. A fault ends the instance and with
//! it the session; the task then only waits to be deleted. Deleting cancels a
//! setup, but never a call: those that have begun or wait finish first.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::run::{Go, Promise};
use super::service::{Conversation, SessionError};
use super::state::{Busy, Phase, Shared};
use crate::engine::{CallError, EntryError, Instance};
use crate::model::{
    Candidate, Fault, FaultCode, Json, Refusal, RefusalReason, RunOutcome, TaskId, ToolSpec,
    TrapKind, Weigh, quoted,
};

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

/// A run that was started.
pub(super) struct Job {
    pub(super) id: TaskId,
    pub(super) work: Work,
    pub(super) promise: Promise,
    /// Comes once the run's id is on its way to the client.
    pub(super) go: Go,
}

/// What a run does.
pub(super) enum Work {
    Call { tool: String, input: Json },
    Score(Vec<Candidate>),
}

/// The owner, with its instance for as long as there is one.
pub(super) struct Owner {
    shared: Arc<Shared>,
    instance: Option<Instance>,
    finished: bool,
    /// Whether the setup succeeded.
    set_up: bool,
}

impl Owner {
    pub(super) fn new(shared: Arc<Shared>, instance: Instance) -> Owner {
        Owner {
            shared,
            instance: Some(instance),
            finished: false,
            set_up: false,
        }
    }

    /// Sets the episode up, then does what is asked until the session ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.set_up().await;
        let mut deleted = None;
        while let Some(command) = commands.recv().await {
            match command {
                Command::Prompt(reply, busy) => {
                    let prompt = self.prompt().await;
                    drop(busy);
                    let _ = reply.send(prompt);
                }
                Command::Messages(reply, busy) => {
                    let messages = self.messages().await;
                    drop(busy);
                    let _ = reply.send(messages);
                }
                Command::TaskTools(reply, busy) => {
                    let tools = self.task_tools().await;
                    drop(busy);
                    let _ = reply.send(tools);
                }
                Command::Run(job, busy) => {
                    let Job {
                        id,
                        work,
                        promise,
                        go,
                    } = *job;
                    // Whoever announced the run starts it, come what may.
                    let _ = go.await;
                    let outcome = self.work(work).await;
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
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        let mut phase = self.shared.phase.subscribe();
        let deleted = phase.wait_for(|phase| matches!(phase, Phase::Deleted));
        let result = tokio::select! {
            result = instance.setup() => result,
            // The guest stands where it stood; its instance goes unentered.
            _ = deleted => return,
        };
        match result {
            Ok(()) => {
                self.instance = Some(instance);
                self.set_up = true;
                self.shared.advance(Phase::Ready);
            }
            Err(EntryError::Failed(message)) => {
                tracing::info!(
                    session = %self.shared.id,
                    environment = %self.shared.environment.name(),
                    "setup failed"
                );
                // Kept, so that a teardown can still tidy up after it.
                self.instance = Some(instance);
                self.shared.advance(Phase::SetupFailed(message));
            }
            Err(EntryError::Fault(fault)) => self.end(&fault),
        }
    }

    /// The guest is gone: so is the session, but for its results.
    fn end(&mut self, fault: &Fault) {
        self.instance = None;
        let (session, environment) = (&self.shared.id, self.shared.environment.name());
        let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    %session,
                    %environment,
                    code,
                    trap,
                    teardown = "skipped",
                    "a session ended: {}",
                    fault.message
                )
            };
        }
        if fault.code.is_ours() {
            line!(error);
        } else {
            line!(warn);
        }
        self.shared.advance(Phase::Faulted(fault.clone()));
    }

    /// The instance, if the session is in a state to answer.
    fn ready(&mut self) -> Result<&mut Instance, SessionError> {
        let verdict = self.shared.phase.borrow().verdict();
        match (verdict, self.instance.as_mut()) {
            // A deleted session still does what was asked before.
            (Some(Ok(()) | Err(SessionError::Deleted)), Some(instance)) => Ok(instance),
            (Some(Err(error)), _) => Err(error),
            (None | Some(Ok(())), _) => Err(SessionError::Starting),
        }
    }

    /// Sorts out what a question came to; a fault ends the session.
    fn settle<T>(&mut self, result: Result<T, EntryError>) -> Result<T, SessionError> {
        match result {
            Ok(value) => Ok(value),
            Err(EntryError::Failed(message)) => Err(SessionError::Failed(message)),
            Err(EntryError::Fault(fault)) => {
                self.end(&fault);
                Err(SessionError::Faulted(fault))
            }
        }
    }

    async fn prompt(&mut self) -> Result<Conversation, SessionError> {
        let prompts = self.shared.environment.description().supports.prompts;
        let instance = self.ready()?;
        let result = if prompts {
            instance.prompt().await.map(Conversation::Prompt)
        } else {
            instance.messages().await.map(Conversation::Messages)
        };
        self.settle(result)
    }

    async fn messages(&mut self) -> Result<Conversation, SessionError> {
        let messages = self.shared.environment.description().supports.messages;
        let instance = self.ready()?;
        let result = if messages {
            instance.messages().await.map(Conversation::Messages)
        } else {
            instance.prompt().await.map(Conversation::Prompt)
        };
        self.settle(result)
    }

    async fn task_tools(&mut self) -> Result<Vec<ToolSpec>, SessionError> {
        let result = self.ready()?.task_tools().await;
        self.settle(result)
    }

    async fn work(&mut self, work: Work) -> RunOutcome {
        match work {
            Work::Call { tool, .. } if self.finished => {
                RunOutcome::Refused(episode_finished(&tool))
            }
            Work::Call { tool, input } => self.call(&tool, &input).await,
            Work::Score(candidates) => self.score(candidates).await,
        }
    }

    async fn call(&mut self, tool: &str, input: &Json) -> RunOutcome {
        let instance = match self.ready() {
            Ok(instance) => instance,
            Err(error) => return not_run(error),
        };
        let refused = |reason, message| RunOutcome::Refused(Refusal { reason, message });
        match instance.call(tool, input).await {
            Ok(output) => {
                self.finished |= output.finished;
                RunOutcome::Output(output)
            }
            Err(CallError::NotFound) => RunOutcome::Refused(Refusal::not_found(tool)),
            Err(CallError::InvalidInput(message)) => {
                refused(RefusalReason::InputValidation, message)
            }
            Err(CallError::Collision(message)) => refused(RefusalReason::NameCollision, message),
            Err(CallError::Entry(error)) => self.entry_outcome(error),
        }
    }

    async fn score(&mut self, candidates: Vec<Candidate>) -> RunOutcome {
        let count = candidates.len();
        let instance = match self.ready() {
            Ok(instance) => instance,
            Err(error) => return not_run(error),
        };
        match instance.score_group(candidates).await {
            Ok(scores) if scores.len() == count => RunOutcome::Scores(scores),
            Ok(scores) => RunOutcome::Failed(format!(
                "score_group returned {} scores for {count} candidates",
                scores.len()
            )),
            Err(error) => self.entry_outcome(error),
        }
    }

    fn entry_outcome(&mut self, error: EntryError) -> RunOutcome {
        match error {
            EntryError::Failed(message) => RunOutcome::Failed(message),
            EntryError::Fault(fault) => {
                self.end(&fault);
                RunOutcome::Faulted(fault)
            }
        }
    }

    /// Whatever comes of it, the session is over: it is only told to the log.
    /// What an episode wrote that began is published at last.
    async fn tear_down(&mut self) {
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        let (session, environment) = (&self.shared.id, self.shared.environment.name());
        match instance.teardown().await {
            Ok(()) => {}
            // Its own words are in its own log.
            Err(EntryError::Failed(_)) => {
                tracing::info!(%session, %environment, "teardown failed");
            }
            Err(EntryError::Fault(fault)) => {
                let (code, trap) = (fault.code.as_str(), fault.trap.map(TrapKind::as_str));
                tracing::info!(%session, %environment, code, trap, "teardown failed: {fault}");
            }
        }
        if self.set_up {
            instance.publish().await;
        }
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
