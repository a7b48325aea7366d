//! What the protocol knows of sessions: two traits, and the ways in which a
//! request can fail.
//!
//! The protocol is written against these, so that it names neither the engine
//! nor the table, and so that every status on the wire has one variant here.

use std::future::Future;
use std::sync::Arc;

use super::Run;
use crate::model::{
    Block, Candidate, EnvName, Fault, Json, Message, Secrets, Seed, SessionId, Split, TaskSource,
    ToolListing,
};

/// Whom a session belongs to. An id is a label among the sessions of one
/// principal; to others it does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Whoever reaches a server that asks for no key.
    Anyone,
    /// The owner of the key of this name.
    Named(Arc<str>),
}

impl Principal {
    /// The name, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Principal::Anyone => None,
            Principal::Named(name) => Some(name),
        }
    }
}

/// What a client asks for in `/create`.
#[derive(Debug)]
pub struct NewSession {
    /// The environment as the client wrote it; none means the default.
    pub environment: Option<String>,
    /// The task.
    pub source: TaskSource,
    /// The secrets, or why they cannot be read. Looked at only once the
    /// environment and the task are known to be there (wire contract
    /// section 4: the precedence of errors).
    pub secrets: Result<Secrets, String>,
    /// The toolset that the client wants on top. There is none yet.
    pub toolset: Option<String>,
    /// What its randomness is to be made of; else the environment decides.
    pub seed: Option<Seed>,
}

/// What there is to know of a session that was just opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// What its randomness is made of.
    pub seed: Seed,
    /// Whether it does the same again when it is called in the same way.
    pub replayable: bool,
}

/// Why a question about tasks has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The environment has no such split.
    #[error("Invalid split")]
    InvalidSplit,
    /// The split has no such task.
    #[error("Invalid index")]
    InvalidIndex,
    /// The environment cannot list its tasks.
    #[error(
        "list_tasks is not supported for this environment. Use the index-based API (num_tasks + get_task) instead."
    )]
    ListingUnsupported,
    /// The environment failed to answer, in its own words.
    #[error("{0}")]
    Failed(String),
    /// The environment ran into a limit or trapped.
    #[error("{0}")]
    Faulted(Fault),
}

/// Why a session was not created. The id is free again afterwards.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CreateError {
    /// The id is taken.
    #[error("Session already exists")]
    Exists,
    /// There is no environment of this name.
    #[error("unknown environment {0:?}")]
    UnknownEnvironment(String),
    /// The task cannot be had.
    #[error(transparent)]
    Task(#[from] CatalogError),
    /// The secrets cannot be read, and why.
    #[error("{0}")]
    Secrets(String),
    /// The environment refused the task, in its own words.
    #[error("{0}")]
    Refused(String),
    /// The guest ran into a limit or trapped while it opened the episode.
    #[error("{0}")]
    Faulted(Fault),
    /// There is no such toolset; the names of those there are.
    #[error("unknown toolset {0:?}")]
    UnknownToolset(String),
    /// The toolset is known but needs a sandbox, which orwd does not have.
    #[error("toolset {0:?} needs a sandbox, and this server has none")]
    NoSandbox(String),
    /// As many sessions are open as may be.
    #[error("the server holds as many sessions as it may")]
    Full,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Why a session cannot answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// It was deleted while the request waited.
    #[error("Session deleted")]
    Deleted,
    /// It is not ready yet, and the request has waited long enough.
    #[error("Environment still starting.")]
    Starting,
    /// Its setup failed, in the environment's own words.
    #[error("{0}")]
    SetupFailed(String),
    /// The environment failed to answer this request, in its own words; the
    /// session goes on.
    #[error("{0}")]
    Failed(String),
    /// This request ended the session.
    #[error("{0}")]
    Faulted(Fault),
    /// An earlier request ended the session.
    #[error("{0}")]
    Gone(Fault),
}

/// Everything that is served: environments and the sessions on them.
pub trait Service: Clone + Send + Sync + 'static {
    /// A cheap handle on one session.
    type Session: Session;

    /// The environments in the order of registration; the first is the
    /// default. Never empty.
    fn environments(&self) -> &[EnvName];

    /// The environment of this name, in any case of letters.
    fn environment(&self, name: &str) -> Option<EnvName>;

    /// The secrets that an environment asks for.
    fn required_secrets(&self, env: &EnvName) -> Vec<String>;

    /// The splits of an environment.
    fn splits(&self, env: &EnvName) -> Vec<Split>;

    /// The tools that an environment lists whatever the task.
    fn tools(&self, env: &EnvName) -> ToolListing;

    /// How many tasks a split has.
    fn num_tasks(
        &self,
        env: &EnvName,
        split: &str,
    ) -> impl Future<Output = Result<u64, CatalogError>> + Send;

    /// Every task of a split.
    fn tasks(
        &self,
        env: &EnvName,
        split: &str,
    ) -> impl Future<Output = Result<Vec<Json>, CatalogError>> + Send;

    /// One task; negative indices are the environment's to read, and `None`
    /// is an integer beyond 64 bits.
    fn task(
        &self,
        env: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> impl Future<Output = Result<Json, CatalogError>> + Send;

    /// The tasks of a Python slice: `None` is an open end, negative bounds
    /// count from the end and clamp, crossed bounds give nothing. Bounds beyond
    /// 64 bits come saturated.
    fn task_range(
        &self,
        env: &EnvName,
        split: &str,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> impl Future<Output = Result<Vec<Json>, CatalogError>> + Send;

    /// Opens a session of this owner; its setup goes on after the answer.
    fn create(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> impl Future<Output = Result<Created, CreateError>> + Send;

    /// The owner's session of this id, if it is open. Restarts its idle clock.
    fn session(&self, owner: &Principal, id: &SessionId) -> Option<Self::Session>;

    /// Ends the owner's session of this id, if it is open: calls in flight
    /// finish, then the episode is torn down.
    fn delete(&self, owner: &Principal, id: &SessionId) -> impl Future<Output = ()> + Send;
}

/// One open session.
pub trait Session: Clone + Send + Sync + 'static {
    /// The environment that the session is on.
    fn environment(&self) -> &EnvName;

    /// Waits until setup is through, for as long as the setup gate allows.
    fn ready(&self) -> impl Future<Output = Result<(), SessionError>> + Send;

    /// The tools of this session's task. Does not wait for setup to end, but
    /// tells of one that has failed.
    fn task_tools(&self) -> impl Future<Output = Result<ToolListing, SessionError>> + Send;

    /// The prompt; a conversation is flattened by the protocol.
    fn prompt(&self) -> impl Future<Output = Result<Conversation, SessionError>> + Send;

    /// The conversation; a prompt is wrapped by the protocol.
    fn messages(&self) -> impl Future<Output = Result<Conversation, SessionError>> + Send;

    /// A new run of a tool. Nothing happens until it is started.
    fn call(&self, tool: String, input: Json) -> Run;

    /// Whether groups of candidates can be scored.
    fn supports_score_group(&self) -> bool;

    /// A new run that scores a group. Nothing happens until it is started.
    fn score_group(&self, candidates: Vec<Candidate>) -> Run;

    /// A run of this session that has not been forgotten yet.
    fn run(&self, task_id: &str) -> Option<Run>;
}

/// How an environment begins a conversation: with whichever of the two it has.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversation {
    /// Blocks.
    Prompt(Vec<Block>),
    /// Messages.
    Messages(Vec<Message>),
}
