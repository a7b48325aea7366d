//! The guest of a session: its instance and the state of its episode.
//!
//! [`Guest::open`] and [`enter`](super::typed_request::enter) are the only way to
//! begin and continue an episode. Clients and replays use the same code, so that
//! the two cannot diverge. The arguments are what the journal holds, and nothing
//! else is read.

use std::sync::Arc;
use std::time::Duration;

use orwd_catalog::{Environment, InstanceConfig};
use orwd_engine::{CallError, EntryError, Episode, HttpMode, ResultGate, SessionPermit};
use orwd_journal::Hash;
use orwd_model::{
    Block, Candidate, Fault, Json, Message, Refusal, RefusalReason, RunOutcome, Secrets, SleepMode,
    Timestamp, ToolOutput, ToolSpec, python_repr,
};

/// An instance with an open episode.
pub(crate) struct Guest {
    episode: Episode,
    env: Environment,
    /// The toolset that the client requested.
    toolset: Option<String>,
    /// A tool returned that the episode has finished; no tool is called after
    /// that.
    finished: bool,
    /// Setup succeeded, so the session may publish what it wrote.
    set_up: bool,
}

/// Why an episode cannot be opened.
pub(crate) enum OpenError {
    /// No instance could be created.
    Start(Fault),
    /// The guest failed or refused.
    Entry(EntryError),
}

impl OpenError {
    /// Returns whether the host is the cause, so that a later attempt may
    /// succeed.
    pub(crate) fn is_host_fault(&self) -> bool {
        match self {
            OpenError::Start(fault) | OpenError::Entry(EntryError::Fault(fault)) => {
                fault.code.is_host_fault()
            }
            OpenError::Entry(EntryError::Failed(_)) => false,
        }
    }
}

impl From<EntryError> for OpenError {
    fn from(error: EntryError) -> OpenError {
        OpenError::Entry(error)
    }
}

impl Guest {
    /// Creates an instance, opens the episode, and returns the tools of its
    /// task.
    pub(crate) async fn open(
        env: &Environment,
        config: InstanceConfig,
        permit: SessionPermit,
        task: &Json,
        secrets: Secrets,
        toolset: Option<String>,
    ) -> Result<(Guest, Vec<ToolSpec>), OpenError> {
        let seed = config.determinism.seed;
        let instance = env.start(config, permit).await.map_err(OpenError::Start)?;
        let mut episode = Episode::open(instance, task, secrets, seed).await?;
        let tools = if env.description().supports.task_tools {
            episode.task_tools().await?
        } else {
            Vec::new()
        };
        let guest = Guest {
            episode,
            env: env.clone(),
            toolset,
            finished: false,
            set_up: false,
        };
        Ok((guest, tools))
    }

    /// Sets when the next request arrived.
    pub(super) fn set_arrival(&mut self, at: Timestamp) {
        self.episode.set_arrival(at);
    }

    /// Sets where the results of HTTP requests come from, in the next request.
    pub(super) fn set_http_mode(&mut self, mode: HttpMode) {
        self.episode.set_http_mode(mode);
    }

    /// Sets who is asked for room for what the next request returns.
    pub(super) fn set_result_gate(&mut self, gate: Option<Arc<dyn ResultGate>>) {
        self.episode.set_result_gate(gate);
    }

    pub(super) async fn setup(&mut self) -> Result<(), EntryError> {
        let done = self.episode.setup().await;
        self.set_up = done.is_ok();
        done
    }

    pub(super) async fn prompt(&mut self) -> Result<Vec<Block>, EntryError> {
        self.episode.prompt().await
    }

    pub(super) async fn messages(&mut self) -> Result<Vec<Message>, EntryError> {
        self.episode.messages().await
    }

    pub(super) async fn task_tools(&mut self) -> Result<Vec<ToolSpec>, EntryError> {
        self.episode.task_tools().await
    }

    pub(super) async fn call(&mut self, tool: &str, input: &Json) -> RunOutcome {
        if self.finished {
            return RunOutcome::Refused(episode_finished(tool));
        }
        let description = self.env.description();
        let known_as = description.guest_name(tool, self.toolset.as_deref());
        let outcome = call_outcome(tool, self.episode.call(&known_as, input).await);
        if let RunOutcome::Output(output) = &outcome {
            self.finished |= output.finished;
        }
        outcome
    }

    pub(super) async fn score(&mut self, candidates: &[Candidate]) -> RunOutcome {
        let count = candidates.len();
        match self.episode.score_group(candidates.to_vec()).await {
            Ok(scores) if scores.len() != count => RunOutcome::Failed(format!(
                "score_group returned {} scores for {count} candidates",
                scores.len()
            )),
            Ok(scores) => RunOutcome::Scores(scores),
            Err(error) => failed_run(error),
        }
    }

    pub(super) async fn teardown(&mut self) -> Result<(), EntryError> {
        self.episode.teardown().await
    }

    /// Sets whether the host waits while the guest sleeps.
    pub(crate) fn set_sleep_mode(&mut self, sleep_mode: SleepMode) {
        self.episode.set_sleep_mode(sleep_mode);
    }

    /// Returns the hash of what the guest has seen of its data so far; none if
    /// it is not observed, or gone.
    pub(crate) fn observed(&self) -> Option<Hash> {
        self.episode.observed_data().map(Hash::from_bytes)
    }

    /// Returns the CPU time of the last request.
    pub(crate) fn cpu_time(&self) -> Duration {
        self.episode.cpu_time()
    }

    /// Publishes what the episode wrote, and returns the number of files. None
    /// if setup failed or the environment does not publish. Comes after the
    /// teardown.
    pub(crate) async fn publish(self) -> Option<usize> {
        if self.set_up {
            self.episode.publish().await
        } else {
            None
        }
    }
}

fn call_outcome(tool: &str, result: Result<ToolOutput, CallError>) -> RunOutcome {
    let refused = |reason, message| RunOutcome::Refused(Refusal { reason, message });
    match result {
        Ok(output) => RunOutcome::Output(output),
        Err(CallError::NotFound) => RunOutcome::Refused(Refusal::not_found(tool)),
        Err(CallError::InvalidInput(message)) => refused(RefusalReason::InputValidation, message),
        Err(CallError::Collision(message)) => refused(RefusalReason::NameCollision, message),
        Err(CallError::Entry(error)) => failed_run(error),
    }
}

fn failed_run(error: EntryError) -> RunOutcome {
    match error {
        EntryError::Failed(message) => RunOutcome::Failed(message),
        EntryError::Fault(fault) => RunOutcome::Faulted(fault),
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
