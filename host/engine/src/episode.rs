//! An open episode: an instance, and the guest's session resource.

use std::sync::Arc;
use std::time::Duration;

use orwd_bindings::exports::orwd::environment::orwd_episode::ToolError;
use orwd_model::{
    Block, Candidate, Fault, FaultCode, Json, Message, Score, Secrets, Seed, SleepMode, Timestamp,
    ToolOutput, ToolSpec,
};
use orwd_sandbox::{GuestState, HttpMode};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::convert::{lift, lower};
use crate::entry::error::{CallError, EntryError};
use crate::entry::result_gate::ResultGate;
use crate::entry::store_state::StoreState;
use crate::instance::Instance;

/// An instance with an open episode.
pub struct Episode {
    instance: Instance,
    /// None after the teardown.
    session: Option<ResourceAny>,
}

/// Enters the guest through one export of the session. A macro, because each
/// export has its own arguments and result type.
macro_rules! enter {
    ($self:ident, $budget:ident, $what:literal, |$session:ident, $handle:ident, $store:ident| $call:expr) => {{
        let Some($handle) = $self.session else {
            return Err(torn_down().into());
        };
        let instance = &mut $self.instance;
        let $session = instance.exports.orwd_environment_orwd_episode().session();
        instance
            .state
            .enter(
                &instance.cpu,
                instance.limits.$budget(),
                $what,
                async |$store: &mut Store<GuestState>| $call.await,
            )
            .await
    }};
}

impl Episode {
    /// Opens an episode on an instance.
    pub async fn open(
        mut instance: Instance,
        task: &Json,
        secrets: Secrets,
        seed: Seed,
    ) -> Result<Episode, EntryError> {
        let session = instance.exports.orwd_environment_orwd_episode().session();
        let secrets = instance.state.take_secrets(secrets);
        let opened = instance
            .state
            .enter(
                &instance.cpu,
                instance.limits.setup(),
                "open",
                async |store: &mut Store<GuestState>| {
                    session
                        .call_open(store, task.as_str(), &secrets, seed.get())
                        .await
                },
            )
            .await?;
        let session = opened.map_err(|message| instance.guest_failure(message))?;
        Ok(Episode {
            instance,
            session: Some(session),
        })
    }

    /// Sets the arrival time of the next entry: the guest's wall clock moves
    /// forward to it, never back. Without it an entry begins at the time the
    /// last one ended.
    pub fn set_arrival(&mut self, at: Timestamp) {
        self.instance.set_arrival(at);
    }

    /// Sets whether a sleep of the guest takes real time, from the next entry
    /// on. A replayed entry gets a multiple of its budget: a call that was in
    /// time once must not fail because this machine is slower.
    pub fn set_sleep_mode(&mut self, sleep_mode: SleepMode) {
        self.instance.set_sleep_mode(sleep_mode);
    }

    /// Sets where the results of HTTP requests come from, in the next entry.
    pub fn set_http_mode(&mut self, mode: HttpMode) {
        self.instance.set_http_mode(mode);
    }

    /// Sets who is asked for room before each turn, from the next entry on.
    pub fn set_result_gate(&mut self, gate: Option<Arc<dyn ResultGate>>) {
        self.instance.set_result_gate(gate);
    }

    /// Returns the hash of what the guest has seen of its data so far; none if
    /// it is not observed, or gone.
    pub fn observed_data(&self) -> Option<[u8; 32]> {
        self.instance.observed_data()
    }

    /// Returns the CPU time of the last entry.
    pub fn cpu_time(&self) -> Duration {
        self.instance.cpu_time()
    }

    /// Runs the setup of the episode.
    pub async fn setup(&mut self) -> Result<(), EntryError> {
        enter!(self, setup, "setup", |session, handle, store| session
            .call_setup(store, handle))?
        .map_err(|message| self.instance.guest_failure(message))
    }

    /// Returns the blocks that begin the conversation.
    pub async fn prompt(&mut self) -> Result<Vec<Block>, EntryError> {
        let blocks = enter!(self, call, "prompt", |session, handle, store| session
            .call_prompt(store, handle))?;
        let blocks = lift::blocks(blocks.map_err(|message| self.instance.guest_failure(message))?)?;
        self.instance.check_result(blocks)
    }

    /// Returns the conversation so far.
    pub async fn messages(&mut self) -> Result<Vec<Message>, EntryError> {
        let messages = enter!(self, call, "messages", |session, handle, store| session
            .call_messages(store, handle))?;
        let messages =
            lift::messages(messages.map_err(|message| self.instance.guest_failure(message))?)?;
        self.instance.check_result(messages)
    }

    /// Returns the tools that the task adds to the listing.
    pub async fn task_tools(&mut self) -> Result<Vec<ToolSpec>, EntryError> {
        let tools = enter!(self, call, "task-tools", |session, handle, store| session
            .call_task_tools(store, handle))?;
        let tools =
            lift::task_tools(tools.map_err(|message| self.instance.guest_failure(message))?)?;
        self.instance.check_result(tools)
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, input: &Json) -> Result<ToolOutput, CallError> {
        let input = input.as_str();
        let output = enter!(self, call, "call", |session, handle, store| session
            .call_call(store, handle, tool, input))
        .map_err(EntryError::from)?;
        let output = lift::output(output.map_err(|error| self.call_error(error))?)?;
        Ok(self.instance.check_result(output)?)
    }

    /// Scores a group of candidates.
    pub async fn score_group(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Score>, EntryError> {
        let candidates = lower::candidates(candidates);
        let scores = enter!(self, call, "score-group", |session, handle, store| session
            .call_score_group(store, handle, &candidates))?;
        let scores = lift::scores(scores.map_err(|message| self.instance.guest_failure(message))?)?;
        self.instance.check_result(scores)
    }

    /// Tears the episode down and drops the guest's resource, which runs its
    /// destructor.
    pub async fn teardown(&mut self) -> Result<(), EntryError> {
        let torn = enter!(self, teardown, "teardown", |session, handle, store| session
            .call_teardown(store, handle))?;
        let handle = self.session.take();
        let budget = self.instance.limits.teardown();
        self.instance
            .state
            .enter(
                &self.instance.cpu,
                budget,
                "drop",
                async |store| match handle {
                    Some(handle) => handle.resource_drop_async(store).await,
                    None => Ok(()),
                },
            )
            .await?;
        torn.map_err(|message| {
            // No client receives this message, so it goes to the log like the
            // guest's standard error.
            if let StoreState::Live(store) = &self.instance.state {
                store.data().log.log_stderr(&message);
            }
            self.instance.guest_failure(message)
        })
    }

    /// Publishes the files that the episode wrote, if its data mode allows it,
    /// and returns their number. After a fault nothing is published, since the
    /// files may be incomplete. Call this last.
    pub async fn publish(self) -> Option<usize> {
        let StoreState::Live(store) = self.instance.state else {
            return None;
        };
        let publishable = store.data().publishable();
        // This closes all files that the guest had open.
        drop(store);
        let publishable = publishable?;
        let published = tokio::task::spawn_blocking(move || publishable.publish()).await;
        published
            .inspect_err(|error| tracing::error!(%error, "publishing aborted"))
            .ok()
    }

    fn call_error(&mut self, error: ToolError) -> CallError {
        let (error, size) = match error {
            ToolError::NotFound => return CallError::NotFound,
            ToolError::Failed(message) => return self.instance.guest_failure(message).into(),
            ToolError::InvalidInput(message) => {
                let size = message.len();
                (CallError::InvalidInput(message), size)
            }
            ToolError::Collision(message) => {
                let size = message.len();
                (CallError::Collision(message), size)
            }
        };
        match self.instance.check_size(size) {
            Ok(()) => error,
            Err(fault) => EntryError::from(fault).into(),
        }
    }
}

/// An entry after the teardown is a bug in the host.
fn torn_down() -> EntryError {
    tracing::error!("episode entered after its teardown");
    Fault::new(FaultCode::Internal, "the session is in no state to answer").into()
}
