//! What everyone but the owner holds of a session.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::house::House;
use super::owner::{Command, Ending, Job, Reply};
use super::resend::Verdict;
use super::run::Run;
use super::service::{Conversation, Errand, Imprint, Session, SessionError};
use super::shares::AllTaken;
use super::state::{Busy, Phase, Shared};
use super::wake::Recalled;
use orwd_journal::GuestRequest;
use orwd_model::{
    EncodedSize, EnvName, Fault, FaultCode, JsonDepth, Refusal, RefusalReason, RunId, RunOutcome,
    ToolListing, ToolLookup, python_repr,
};

/// A cheap handle on a session; clones share it.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    house: Arc<House>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    pub(super) fn new(
        house: Arc<House>,
        shared: Arc<Shared>,
        commands: mpsc::Sender<Command>,
    ) -> Handle {
        Handle {
            shared,
            house,
            commands,
        }
    }

    /// Ends the session. Waits for its teardown, but not for calls in flight:
    /// those finish on their own, and the teardown comes after.
    pub(super) async fn end(self, ending: Ending) {
        let busy = self.shared.is_busy();
        let ended = self.end_and_wait(ending);
        if busy {
            tokio::spawn(ended);
        } else {
            ended.await;
        }
    }

    /// Waits until a session is at its end, calls in flight included.
    pub(super) async fn end_and_wait(self, ending: Ending) {
        self.shared.phase.send_replace(match ending {
            Ending::Deleted | Ending::Expired => Phase::Deleted,
            Ending::Stopped => Phase::Stopping,
        });
        let (reply, ended) = oneshot::channel();
        let end = Command::End(ending, reply);
        if self.commands.send(end).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Lets the guest leave the memory, unless there is something to do.
    pub(super) fn hibernate(&self) {
        let (reply, _) = oneshot::channel();
        let _ = self.commands.try_send(Command::Hibernate(reply));
    }

    /// Has the session brought into memory. Does not wait for it.
    pub(super) fn wake(&self) {
        let busy = Busy::new(&self.shared);
        // A queue that is full wakes it anyway.
        let _ = self.commands.try_send(Command::Wake(busy));
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>, Busy) -> Command,
    ) -> Result<T, SessionError> {
        let (reply, answer) = oneshot::channel();
        let command = command(reply, Busy::new(&self.shared));
        self.commands.send(command).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Why the owner is not there any more.
    fn gone(&self) -> SessionError {
        match &*self.shared.phase.borrow() {
            Phase::Stopping => SessionError::Starting,
            _ => SessionError::Deleted,
        }
    }

    /// A run for the owner to do, which takes its place in the queue when it is
    /// announced.
    fn run_of(&self, id: RunId, errand: Errand, imprint: Imprint) -> Result<Run, SessionError> {
        let taken = self.house.calls.take(&self.shared.identity.owner);
        let share = taken.map_err(|AllTaken| SessionError::TooManyCalls)?;
        let handle = self.clone();
        let ask = match errand {
            Errand::Call { tool, input } => GuestRequest::Call { tool, input },
            Errand::Score(candidates) => GuestRequest::Score { candidates },
        };
        Ok(Run::new(id, move |run, promise, go| {
            handle.shared.runs().begin(run.clone());
            let busy = Busy::new(&handle.shared);
            let job = Box::new(Job {
                id,
                ask,
                imprint,
                promise,
                go,
                share,
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
                handle.shared.runs().discard(id);
                handle.shared.resends().discard(id);
                job.promise
                    .keep(RunOutcome::Faulted(Fault::new(code, message)));
            }
        }))
    }

    /// A run whose outcome is known before it starts.
    fn decided(&self, id: RunId, outcome: RunOutcome) -> Run {
        let shared = self.shared.clone();
        Run::new(id, move |run, promise, _go| {
            let mut runs = shared.runs();
            runs.begin(run.clone());
            runs.finish(id, outcome.encoded_size(), Instant::now());
            drop(runs);
            promise.keep(outcome);
        })
    }

    /// What comes of an errand that is refused without a look at the guest.
    fn refusal(&self, errand: &Errand) -> Option<RunOutcome> {
        let ground = self.shared.ground()?;
        let most = ground.json_depth;
        let deep = |what, value: &dyn JsonDepth| {
            let levels = value.json_depth();
            (levels > most).then(|| too_deep(what, levels, most))
        };
        let (tool, input) = match errand {
            Errand::Call { tool, input } => (tool, input),
            Errand::Score(candidates) => {
                return deep("candidates", candidates).map(RunOutcome::Failed);
            }
        };
        let refusal = match ground.environment.description().find_tool(tool) {
            ToolLookup::Found => Refusal {
                reason: RefusalReason::InputValidation,
                message: deep("input", input)?,
            },
            ToolLookup::NotFound => Refusal::not_found(tool),
            ToolLookup::Collision(toolset) => Refusal {
                reason: RefusalReason::NameCollision,
                message: format!(
                    "Tool name collision: {} is defined in both the environment and toolset {}. \
                     Please rename one of them to avoid conflicts.",
                    python_repr(tool),
                    python_repr(toolset)
                ),
            },
        };
        Some(RunOutcome::Refused(refusal))
    }

    /// The run of an idempotency key that is known. One that never began, since
    /// its client was gone before it could, begins now.
    async fn known(
        &self,
        id: RunId,
        errand: Errand,
        imprint: Imprint,
    ) -> Result<Run, SessionError> {
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(run);
        }
        match self
            .ask(|reply, busy| Command::Recall(id, reply, busy))
            .await?
        {
            Recalled::Over(run) => Ok(run),
            Recalled::Never => self.begin_late(id, errand, imprint),
            Recalled::Forgotten => Err(SessionError::KeyReused),
        }
    }

    /// Begins a run whose id was drawn before and that no journal knows.
    fn begin_late(&self, id: RunId, errand: Errand, imprint: Imprint) -> Result<Run, SessionError> {
        let refusal = self.refusal(&errand);
        let mut resends = self.shared.resends();
        // Another request may have been quicker.
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(run);
        }
        let run = match refusal {
            Some(refusal) => self.decided(id, refusal),
            None => {
                let run = self.run_of(id, errand, imprint.clone())?;
                resends.note(&run, &imprint);
                run
            }
        };
        self.shared.runs().begin(run.clone());
        drop(resends);
        // The client knows it by its id or its key, so that there is nothing
        // to wait for.
        run.start();
        Ok(run)
    }
}

impl Session for Handle {
    fn environment(&self) -> &EnvName {
        &self.shared.identity.environment
    }

    async fn ready(&self) -> Result<(), SessionError> {
        let (asleep, verdict) = {
            let phase = self.shared.phase.borrow();
            (matches!(*phase, Phase::Asleep), phase.verdict())
        };
        if let Some(verdict) = verdict {
            return verdict;
        }
        let mut phase = self.shared.phase.subscribe();
        if asleep {
            self.wake();
        }
        let mut began = false;
        let settled = phase.wait_for(|phase| match phase {
            Phase::Waking | Phase::Starting => {
                began = true;
                false
            }
            // It could not be brought back just now.
            Phase::Asleep => began,
            settled => settled.verdict().is_some(),
        });
        match tokio::time::timeout(self.house.settings.setup_wait, settled).await {
            Ok(Ok(phase)) => phase.verdict().unwrap_or(Err(SessionError::Starting)),
            Ok(Err(_)) => Err(SessionError::Deleted),
            Err(_) => Err(SessionError::Starting),
        }
    }

    async fn task_tools(&self) -> Result<ToolListing, SessionError> {
        if self.shared.ground().is_none() {
            self.ready().await?;
        }
        let verdict = self.shared.phase.borrow().verdict();
        if let Some(Err(error)) = verdict {
            return Err(error);
        }
        let ground = self.shared.ground().ok_or(SessionError::Starting)?;
        let description = ground.environment.description();
        let starting = matches!(*self.shared.phase.borrow(), Phase::Starting);
        let tools = if description.supports.task_tools && !starting {
            self.ask(Command::TaskTools).await?
        } else {
            ground.first_task_tools.clone()
        };
        Ok(description.listing(tools))
    }

    async fn prompt(&self) -> Result<Conversation, SessionError> {
        self.ask(Command::Prompt).await
    }

    async fn messages(&self) -> Result<Conversation, SessionError> {
        self.ask(Command::Messages).await
    }

    fn supports_score_group(&self) -> bool {
        let ground = self.shared.ground();
        ground.is_some_and(|ground| ground.environment.description().supports.score_group)
    }

    async fn begin(&self, errand: Errand, imprint: Imprint) -> Result<Run, SessionError> {
        let id = self.house.mint.draw(self.shared.identity.episode);
        if let Some(refusal) = self.refusal(&errand) {
            return Ok(self.decided(id, refusal));
        }
        let verdict = {
            let mut resends = self.shared.resends();
            let verdict = resends.judge(&imprint, Instant::now());
            if let Verdict::New = verdict {
                let run = self.run_of(id, errand, imprint.clone())?;
                resends.note(&run, &imprint);
                return Ok(run);
            }
            verdict
        };
        match verdict {
            Verdict::Again(run) => {
                tracing::info!(
                    session = %self.shared.identity.id, task = %run.id(),
                    "a call whose answer was cut off came again"
                );
                Ok(run)
            }
            Verdict::Known(id) => self.known(id, errand, imprint).await,
            Verdict::New | Verdict::Conflict => Err(SessionError::KeyReused),
        }
    }

    async fn resume(
        &self,
        task_id: &str,
        errand: Errand,
        imprint: Imprint,
    ) -> Result<Option<Run>, SessionError> {
        let Some(id) = RunId::parse(task_id) else {
            return Ok(None);
        };
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(Some(run));
        }
        if !self.house.is_kept() || !self.house.mint.drew(self.shared.identity.episode, id) {
            return Ok(None);
        }
        // Given out by this host, perhaps by a process that was killed before
        // it could write the call down.
        let recalled = self
            .ask(|reply, busy| Command::Recall(id, reply, busy))
            .await?;
        if !matches!(recalled, Recalled::Never) {
            return Ok(None);
        }
        self.begin_late(id, errand, imprint).map(Some)
    }
}

/// What is told to whoever sent JSON of too many levels.
pub(super) fn too_deep(what: &str, levels: usize, most: usize) -> String {
    format!("{what}: JSON of {levels} levels, and {most} are allowed")
}
