//! One instance of a component, and everything that can be asked of it.
//!
//! An instance belongs to one task and is entered through [`Life::enter`]
//! alone. A [`Fault`] is its end: the store is gone by the time that the
//! caller learns of it, and every later question gets the same fault.

use std::time::Duration;

use orwd_bindings::Environment as Exports;
use orwd_bindings::exports::orwd::environment::orwd_catalog::TaskError;
use orwd_bindings::exports::orwd::environment::orwd_episode::ToolError;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::component::Component;
use super::enter::{self, Life};
use super::lift::{self, Unfit};
use super::lower;
use super::runtime::Engine;
use orwd_model::{
    Block, Budget, Candidate, EncodedSize, EnvironmentDescription, Fault, FaultCode, Json,
    JsonDepth, Message, Score, Secrets, Seed, SessionLimits, SleepMode, Timestamp, ToolOutput,
    ToolSpec,
};
use orwd_sandbox::{GuestState, Meter, Outfit};

/// An instance, which holds one session or answers questions about tasks.
pub struct Instance {
    // Dropped in this order: the store goes before the place that it took.
    life: Life,
    exports: Option<Exports>,
    session: Option<ResourceAny>,
    engine: Engine,
    /// That of the store, which may be gone.
    meter: Meter,
    limits: SessionLimits,
    _slot: Option<OwnedSemaphorePermit>,
}

/// Why the guest gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EntryError {
    /// It failed, in its own words, or gave something unfit, in ours. The
    /// instance goes on.
    #[error("{0}")]
    Failed(String),
    /// It is no more.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// Why there is no such task.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TaskLookup {
    /// No such split.
    #[error("invalid split")]
    InvalidSplit,
    /// The split has no such task.
    #[error("invalid index")]
    InvalidIndex,
    /// The guest gave no answer.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// Why a tool gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The guest knows no such tool.
    #[error("no such tool")]
    NotFound,
    /// The input does not fit, in the guest's words.
    #[error("{0}")]
    InvalidInput(String),
    /// Two tools share the name, in the guest's words.
    #[error("{0}")]
    Collision(String),
    /// The guest gave no answer.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl From<Unfit> for EntryError {
    fn from(unfit: Unfit) -> EntryError {
        EntryError::Failed(format!("{}: {unfit}", FaultCode::EnvInvalidOutput.as_str()))
    }
}

impl From<Unfit> for TaskLookup {
    fn from(unfit: Unfit) -> TaskLookup {
        TaskLookup::Entry(unfit.into())
    }
}

impl From<Unfit> for CallError {
    fn from(unfit: Unfit) -> CallError {
        CallError::Entry(unfit.into())
    }
}

/// Enters the guest by one export of the session. A macro, because each export
/// has arguments and a result of its own.
macro_rules! enter {
    ($self:ident, $budget:ident, $what:literal, |$session:ident, $handle:ident, $store:ident| $call:expr) => {{
        let (exports, $handle) = match ($self.exports.as_ref(), $self.session) {
            (Some(exports), Some(handle)) => (exports, handle),
            _ => return Err(not_open().into()),
        };
        let $session = exports.orwd_environment_orwd_episode().session();
        $self
            .life
            .enter(
                $self.engine.turns(),
                $self.limits.$budget,
                $what,
                async |$store: &mut Store<GuestState>| $call.await,
            )
            .await
    }};
}

/// Enters the guest by one export of the catalog. What it draws by chance is the
/// same for each question, however many came before.
macro_rules! ask {
    ($self:ident, $what:literal, |$catalog:ident, $store:ident| $call:expr) => {{
        let Some(exports) = $self.exports.as_ref() else {
            return Err(not_open().into());
        };
        let $catalog = exports.orwd_environment_orwd_catalog();
        if let Life::Live(store) = &mut $self.life {
            store.data_mut().chance.restart();
        }
        $self
            .life
            .enter(
                $self.engine.turns(),
                $self.limits.call,
                $what,
                async |$store: &mut Store<GuestState>| $call.await,
            )
            .await
    }};
}

impl Instance {
    /// Makes an instance. What runs on the way (start functions, static data)
    /// has the budget of setup.
    pub async fn start(
        engine: &Engine,
        component: &Component,
        outfit: Outfit,
        limits: SessionLimits,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Instance, Fault> {
        let state = GuestState::new(outfit);
        let mut store = Store::try_new(engine.wasmtime(), state).map_err(|error| {
            tracing::error!("a store cannot be made: {error:#}");
            Fault::new(FaultCode::Overloaded, "no room for another instance")
        })?;
        enter::prepare(&mut store, &limits);
        let mut instance = Instance {
            meter: store.data().meter.clone(),
            life: Life::Live(Box::new(store)),
            exports: None,
            session: None,
            engine: engine.clone(),
            limits,
            _slot: slot,
        };
        let exports = instance
            .life
            .enter(engine.turns(), limits.setup, "instantiate", async |store| {
                component.pre.instantiate_async(store).await
            })
            .await?;
        instance.exports = Some(exports);
        Ok(instance)
    }

    /// The next entry happens at this moment: the guest's wall clock moves
    /// there, unless it is further on already. Without it an entry begins at
    /// the moment at which the last one ended.
    pub fn arrive(&mut self, at: Timestamp) {
        if let Life::Live(store) = &self.life {
            store.data().clock.arrive(at);
        }
    }

    /// Whether the guest is waited for, from the next entry on, when it
    /// sleeps. In a replay an entry has several times its budget, since what
    /// was done in time once must not fail because this machine is slower.
    pub fn set_sleep_mode(&mut self, sleep_mode: SleepMode) {
        if let Life::Live(store) = &self.life {
            store.data().clock.set_sleep_mode(sleep_mode);
        }
    }

    /// The environment in its own words.
    pub async fn describe(&mut self) -> Result<EnvironmentDescription, EntryError> {
        let description = ask!(self, "describe", |catalog, store| catalog
            .call_describe(store))?;
        Ok(lift::description(description)?)
    }

    /// How many tasks a split has.
    pub async fn num_tasks(&mut self, split: &str) -> Result<u64, TaskLookup> {
        let count = ask!(self, "num-tasks", |catalog, store| catalog
            .call_num_tasks(store, split))
        .map_err(EntryError::from)?;
        count.map_err(|error| self.no_task(error))
    }

    /// The tasks of a split from `start` to before `stop`.
    pub async fn tasks(
        &mut self,
        split: &str,
        start: u64,
        stop: u64,
    ) -> Result<Vec<Json>, TaskLookup> {
        let tasks = ask!(self, "tasks", |catalog, store| catalog
            .call_tasks(store, split, start, stop))
        .map_err(EntryError::from)?;
        let tasks = lift::tasks(tasks.map_err(|error| self.no_task(error))?)?;
        Ok(self.shallow(tasks)?)
    }

    /// One task.
    pub async fn task(&mut self, split: &str, index: i64) -> Result<Json, TaskLookup> {
        let task = ask!(self, "task", |catalog, store| catalog
            .call_task(store, split, index))
        .map_err(EntryError::from)?;
        let task = lift::task(task.map_err(|error| self.no_task(error))?)?;
        Ok(self.shallow(task)?)
    }

    /// Begins the episode.
    pub async fn open(
        &mut self,
        task: &Json,
        secrets: Secrets,
        seed: Seed,
    ) -> Result<(), EntryError> {
        let Some(exports) = self.exports.as_ref() else {
            return Err(not_open());
        };
        let session = exports.orwd_environment_orwd_episode().session();
        self.life.hide(&secrets);
        let secrets = lower::secrets(secrets);
        let opened = self
            .life
            .enter(
                self.engine.turns(),
                self.limits.setup,
                "open",
                async |store: &mut Store<GuestState>| {
                    session
                        .call_open(store, task.as_str(), &secrets, seed.get())
                        .await
                },
            )
            .await?;
        self.session = Some(opened.map_err(|message| self.own_words(message))?);
        Ok(())
    }

    /// Makes the episode ready.
    pub async fn setup(&mut self) -> Result<(), EntryError> {
        enter!(self, setup, "setup", |session, handle, store| session
            .call_setup(store, handle))?
        .map_err(|message| self.own_words(message))
    }

    /// The blocks that begin the conversation.
    pub async fn prompt(&mut self) -> Result<Vec<Block>, EntryError> {
        let blocks = enter!(self, call, "prompt", |session, handle, store| session
            .call_prompt(store, handle))?;
        let blocks = lift::blocks(blocks.map_err(|message| self.own_words(message))?)?;
        self.weigh(blocks)
    }

    /// The conversation so far.
    pub async fn messages(&mut self) -> Result<Vec<Message>, EntryError> {
        let messages = enter!(self, call, "messages", |session, handle, store| session
            .call_messages(store, handle))?;
        let messages = lift::messages(messages.map_err(|message| self.own_words(message))?)?;
        self.weigh(messages)
    }

    /// The tools that the task adds to the listing.
    pub async fn task_tools(&mut self) -> Result<Vec<ToolSpec>, EntryError> {
        let tools = enter!(self, call, "task-tools", |session, handle, store| session
            .call_task_tools(store, handle))?;
        let tools = lift::task_tools(tools.map_err(|message| self.own_words(message))?)?;
        self.weigh(tools)
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, input: &Json) -> Result<ToolOutput, CallError> {
        let input = input.as_str();
        let output = enter!(self, call, "call", |session, handle, store| session
            .call_call(store, handle, tool, input))
        .map_err(EntryError::from)?;
        let output = lift::output(output.map_err(|error| self.no_output(error))?)?;
        Ok(self.weigh(output)?)
    }

    /// Scores candidates beside each other.
    pub async fn score_group(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Score>, EntryError> {
        let candidates = lower::candidates(candidates);
        let scores = enter!(self, call, "score-group", |session, handle, store| session
            .call_score_group(store, handle, &candidates))?;
        let scores = lift::scores(scores.map_err(|message| self.own_words(message))?)?;
        self.weigh(scores)
    }

    /// Ends the episode, destructor of the guest's resource included.
    pub async fn teardown(&mut self) -> Result<(), EntryError> {
        let torn = enter!(self, teardown, "teardown", |session, handle, store| session
            .call_teardown(store, handle))?;
        let handle = self.session.take();
        let budget: Budget = self.limits.teardown;
        self.life
            .enter(
                self.engine.turns(),
                budget,
                "drop",
                async |store| match handle {
                    Some(handle) => handle.resource_drop_async(store).await,
                    None => Ok(()),
                },
            )
            .await?;
        torn.map_err(|message| {
            // Nobody is there to be told, so it goes where all goes that the
            // guest says to nobody.
            if let Life::Live(store) = &self.life {
                store.data().log.say(&message);
            }
            self.own_words(message)
        })
    }

    /// Publishes what the episode wrote, if it may. After a fault there is
    /// nothing to publish: it was left as it stood. Call this last.
    /// Gives how many files that were; none if it may not.
    pub async fn publish(self) -> Option<usize> {
        let Life::Live(store) = self.life else {
            return None;
        };
        let results = store.data().results();
        // Whatever the guest had open is closed.
        drop(store);
        let results = results?;
        let published = tokio::task::spawn_blocking(move || results.publish()).await;
        published
            .inspect_err(|error| tracing::error!("publishing was cut off: {error}"))
            .ok()
    }

    /// CPU time that the last entry took.
    pub fn spent(&self) -> Duration {
        self.meter.spent()
    }

    /// Lets a result through that is within the limits. One that is too large
    /// ends the instance, since what it says of itself is lost; one that is too
    /// deep is a mistake like any other that a result can have.
    fn weigh<T: EncodedSize + JsonDepth>(&mut self, result: T) -> Result<T, EntryError> {
        self.bear(result.encoded_size())?;
        Ok(self.shallow(result)?)
    }

    /// A failure in the guest's own words, which are a result as any other.
    fn own_words(&mut self, message: String) -> EntryError {
        match self.bear(message.len()) {
            Ok(()) => EntryError::Failed(message),
            Err(fault) => fault.into(),
        }
    }

    fn no_task(&mut self, error: TaskError) -> TaskLookup {
        match error {
            TaskError::InvalidSplit => TaskLookup::InvalidSplit,
            TaskError::InvalidIndex => TaskLookup::InvalidIndex,
            TaskError::Failed(message) => self.own_words(message).into(),
        }
    }

    fn no_output(&mut self, error: ToolError) -> CallError {
        let (error, words) = match error {
            ToolError::NotFound => return CallError::NotFound,
            ToolError::Failed(message) => return self.own_words(message).into(),
            ToolError::InvalidInput(message) => {
                let words = message.len();
                (CallError::InvalidInput(message), words)
            }
            ToolError::Collision(message) => {
                let words = message.len();
                (CallError::Collision(message), words)
            }
        };
        match self.bear(words) {
            Ok(()) => error,
            Err(fault) => EntryError::from(fault).into(),
        }
    }

    /// Holds a result against the limit.
    fn bear(&mut self, weight: usize) -> Result<(), Fault> {
        if weight <= self.limits.result {
            return Ok(());
        }
        let message = format!(
            "a result of {weight} bytes, and {} are allowed",
            self.limits.result
        );
        let fault = Fault::new(FaultCode::LimitOutput, message);
        self.life = Life::Dead(fault.clone());
        Err(fault)
    }

    /// Lets through what holds no JSON that is nested too deep.
    fn shallow<T: JsonDepth>(&self, result: T) -> Result<T, Unfit> {
        lift::shallow(result, self.limits.json_depth)
    }
}

/// Entering an episode that was never opened is a mistake of the host's.
fn not_open() -> EntryError {
    tracing::error!("an instance was entered before it was ready");
    Fault::new(FaultCode::Internal, "the session is in no state to answer").into()
}
