//! What everyone but the owner holds of a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::ask::Ask;
use super::owner::{Command, Job, Reply};
use super::run::Run;
use super::service::{Conversation, Session, SessionError};
use super::state::{Busy, Phase, Shared};
use crate::model::{
    Candidate, EnvName, Fault, FaultCode, Json, Named, Refusal, RefusalReason, RunOutcome, TaskId,
    ToolListing, quoted,
};

/// A cheap handle on a session; clones share it.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    setup_gate: Duration,
}

impl Handle {
    pub(super) fn new(
        shared: Arc<Shared>,
        commands: mpsc::Sender<Command>,
        setup_gate: Duration,
    ) -> Handle {
        Handle {
            shared,
            commands,
            setup_gate,
        }
    }

    /// Ends the session. Waits for its teardown, but not for calls in flight:
    /// those finish on their own, and the teardown comes after.
    pub(super) async fn delete(self) {
        let busy = self.shared.is_busy();
        let deleting = self.delete_and_wait();
        if busy {
            tokio::spawn(deleting);
        } else {
            deleting.await;
        }
    }

    /// Waits until a deleted session is torn down, calls in flight included.
    pub(super) async fn delete_and_wait(self) {
        self.shared.phase.send_replace(Phase::Deleted);
        let (reply, torn_down) = oneshot::channel();
        if self.commands.send(Command::Delete(reply)).await.is_ok() {
            let _ = torn_down.await;
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>, Busy) -> Command,
    ) -> Result<T, SessionError> {
        let (reply, answer) = oneshot::channel();
        let command = command(reply, Busy::new(&self.shared));
        self.commands
            .send(command)
            .await
            .map_err(|_| SessionError::Deleted)?;
        answer.await.map_err(|_| SessionError::Deleted)?
    }

    /// A run for the owner to do, which takes its place in the queue when it is
    /// announced.
    fn run_of(&self, ask: Ask) -> Run {
        let handle = self.clone();
        let id = TaskId::random();
        Run::new(id, move |run, promise, go| {
            handle.shared.runs().begin(run.clone());
            let busy = Busy::new(&handle.shared);
            let job = Box::new(Job {
                id,
                ask,
                promise,
                go,
            });
            let (command, code, message) = match handle.commands.try_send(Command::Run(job, busy)) {
                Ok(()) => return,
                Err(TrySendError::Full(command)) => (
                    command,
                    FaultCode::Overloaded,
                    "too many calls of this session are waiting",
                ),
                Err(TrySendError::Closed(command)) => (
                    command,
                    FaultCode::Interrupted,
                    "the session ended before the call began",
                ),
            };
            if let Command::Run(job, _busy) = command {
                handle.shared.runs().finish(id, 0, Instant::now());
                job.promise
                    .keep(RunOutcome::Faulted(Fault::new(code, message)));
            }
        })
    }

    /// A run whose outcome is known before it starts.
    fn refused(&self, refusal: Refusal) -> Run {
        let shared = self.shared.clone();
        let id = TaskId::random();
        Run::new(id, move |run, promise, _go| {
            let mut runs = shared.runs();
            runs.begin(run.clone());
            runs.finish(id, refusal.message.len(), Instant::now());
            drop(runs);
            promise.keep(RunOutcome::Refused(refusal));
        })
    }
}

impl Session for Handle {
    fn environment(&self) -> &EnvName {
        self.shared.environment.name()
    }

    async fn ready(&self) -> Result<(), SessionError> {
        if let Some(verdict) = self.shared.phase.borrow().verdict() {
            return verdict;
        }
        let mut phase = self.shared.phase.subscribe();
        let settled = phase.wait_for(|phase| phase.verdict().is_some());
        match tokio::time::timeout(self.setup_gate, settled).await {
            Ok(Ok(phase)) => phase.verdict().unwrap_or(Err(SessionError::Starting)),
            Ok(Err(_)) => Err(SessionError::Deleted),
            Err(_) => Err(SessionError::Starting),
        }
    }

    async fn task_tools(&self) -> Result<ToolListing, SessionError> {
        let description = self.shared.environment.description();
        let verdict = self.shared.phase.borrow().verdict();
        let tools = match verdict {
            Some(Err(error)) => return Err(error),
            Some(Ok(())) if description.supports.task_tools => self.ask(Command::TaskTools).await?,
            Some(Ok(())) | None => self.shared.first_task_tools.clone(),
        };
        Ok(description.listing(tools))
    }

    async fn prompt(&self) -> Result<Conversation, SessionError> {
        self.ask(Command::Prompt).await
    }

    async fn messages(&self) -> Result<Conversation, SessionError> {
        self.ask(Command::Messages).await
    }

    fn call(&self, tool: String, input: Json) -> Run {
        match self.shared.environment.description().named(&tool) {
            Named::Tool => self.run_of(Ask::Call { tool, input }),
            Named::Nothing => self.refused(Refusal::not_found(&tool)),
            Named::Collision(toolset) => self.refused(Refusal {
                reason: RefusalReason::NameCollision,
                message: format!(
                    "Tool name collision: {} is defined in both the environment and toolset {}. \
                     Please rename one of them to avoid conflicts.",
                    quoted(&tool),
                    quoted(toolset)
                ),
            }),
        }
    }

    fn supports_score_group(&self) -> bool {
        self.shared.environment.description().supports.score_group
    }

    fn score_group(&self, candidates: Vec<Candidate>) -> Run {
        self.run_of(Ask::Score(candidates))
    }

    fn run(&self, task_id: &str) -> Option<Run> {
        let id = TaskId::parse(task_id)?;
        self.shared.runs().get(id, Instant::now())
    }
}
