//! What the protocol knows of sessions: two traits, and the ways in which a
//! request can fail.
//!
//! The protocol is written against these, so that it names neither the engine
//! nor the table, and so that every status on the wire has one variant here.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Run;
use super::overview::{Detail, Overview};
use orwd_journal::JournalError;
use orwd_model::{
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

    /// The owner of the key of this name, if it is one's.
    pub fn of(name: Option<&str>) -> Principal {
        name.map_or(Principal::Anyone, |name| Principal::Named(name.into()))
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
    /// A hash of the whole request, to know its repetition by.
    pub imprint: [u8; 32],
}

/// What there is to know of a session that was just opened.
#[derive(Clone, Debug)]
pub struct Created {
    /// What its randomness is made of.
    pub seed: Seed,
    /// Whether it outlives this process.
    pub resumable: Resumable,
    /// Where it is noted that the client has the answer.
    pub told: Told,
}

/// Whether a session can be brought back by what is written down of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumable {
    /// It can.
    Yes,
    /// Not: nothing is written down.
    NoJournal,
    /// Not: it sees the real clock, and would do something else.
    RealClock,
    /// Not: it was given secrets, which nothing is there to seal with.
    Secrets,
    /// Not for sure: others may publish into the data that it reads, and then
    /// it would see something else.
    Shared,
}

impl Resumable {
    /// Why it cannot, for people; none if it can.
    pub fn obstacle(self) -> Option<&'static str> {
        match self {
            Resumable::Yes => None,
            Resumable::NoJournal => Some("the server keeps no journal"),
            Resumable::RealClock => Some("the environment sees the real clock"),
            Resumable::Secrets => Some("the server has no key to seal secrets with"),
            Resumable::Shared => Some("others may publish into the data that it reads"),
        }
    }
}

/// Notes that the answer to `/create` went out. While it has not, the same
/// request may come again and is given the same answer.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<AtomicBool>);

impl Told {
    /// The answer is on its way, or the client has shown that it has it.
    pub fn note(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is known that the client has it.
    pub fn is_noted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
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
    /// The client's own task is nested too deep to be handed to the guest.
    #[error("{0}")]
    TooDeep(String),
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
    /// Its beginning could not be written down, and so it has not begun.
    #[error("the journal cannot be written")]
    Unwritten,
    /// As many sessions are open as may be.
    #[error("the server holds as many sessions as it may")]
    Full,
    /// The key that the request came with holds as many as it may.
    #[error("this key holds as many sessions as it may")]
    TooMany,
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
    /// The key that the request came with has as many calls in flight as it
    /// may.
    #[error("this key has as many calls in flight as it may")]
    TooManyCalls,
    /// It cannot be rebuilt from what is written down of it, and why.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The idempotency key belongs to a call with another body, or to one
    /// whose result is forgotten.
    #[error("the idempotency key was used for another request")]
    KeyReused,
}

/// What a client asks a session to do in a run of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    /// To call a tool.
    Call {
        /// The tool.
        tool: String,
        /// Its input.
        input: Json,
    },
    /// To score candidates beside each other.
    Score(Vec<Candidate>),
}

/// What a request is known by when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imprint {
    /// A hash of what it asks for, whether it names a run or not.
    pub body: [u8; 32],
    /// The key that the client gave it, if any.
    pub key: Option<String>,
}

/// Everything that is served: environments and the sessions on them.
pub trait Service: Beyond + Clone + Send + Sync + 'static {
    /// A cheap handle on one session.
    type Session: Session;

    /// The environments in the order of registration; the first is the
    /// default. Never empty.
    fn environments(&self) -> &[EnvName];

    /// The environment of this name, in any case of letters.
    fn environment(&self, name: &str) -> Option<EnvName>;

    /// What runs the guests, with its version.
    fn engine(&self) -> &'static str;

    /// The limits in force for a session on an environment: by the names that
    /// an operator sets them by, in a fixed order, written with their units.
    fn limits(&self, env: &EnvName) -> Vec<(&'static str, String)>;

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

/// Why a question beyond the protocol has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BeyondError {
    /// There is no such session of this owner.
    #[error("there is no such session")]
    NoSession,
    /// The server keeps no journal.
    #[error("the server keeps no journal")]
    NoJournal,
    /// The session has had fewer calls.
    #[error("there is no such step: the session has had {0} calls")]
    NoSuchStep(u64),
    /// Too few or too many were asked for.
    #[error("between 1 and {0} can be made at once")]
    Count(u32),
    /// It cannot be done again.
    #[error("the session cannot be replayed")]
    NotReplayable,
    /// The key that the request came with holds as many sessions as it may.
    #[error("this key holds as many sessions as it may")]
    TooMany,
    /// As many sessions are open as may be.
    #[error("the server holds as many sessions as it may")]
    Full,
    /// It was done again and came to something else.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// What is written down does not hold.
    #[error("{0}")]
    Damaged(String),
    /// The journal cannot be read or written now.
    #[error("the journal cannot be used")]
    Unwritten,
}

impl From<JournalError> for BeyondError {
    fn from(error: JournalError) -> BeyondError {
        match error {
            JournalError::Disabled => BeyondError::NoJournal,
            JournalError::Unknown(_) => BeyondError::NoSession,
            JournalError::Seal(_) => BeyondError::NotReplayable,
            JournalError::Damaged { .. } => BeyondError::Damaged(error.to_string()),
            _ => {
                tracing::error!("the journal cannot be used: {error}");
                BeyondError::Unwritten
            }
        }
    }
}

/// What there is beyond the protocol, for people and tools.
pub trait Beyond {
    /// The owner's open sessions.
    fn overviews(&self, owner: &Principal) -> Vec<Overview>;

    /// A session of the owner with its steps, the last of this id if it is
    /// over.
    fn detail(
        &self,
        owner: &Principal,
        id: &SessionId,
    ) -> impl Future<Output = Result<Detail, BeyondError>> + Send;

    /// A receipt for what there is of a session, signed by this host: JSON.
    fn receipt(
        &self,
        owner: &Principal,
        id: &SessionId,
    ) -> impl Future<Output = Result<String, BeyondError>> + Send;

    /// New sessions that share the past of this one up to and including so
    /// many calls, or all of it.
    fn fork(
        &self,
        owner: &Principal,
        id: &SessionId,
        at: Option<u64>,
        count: u32,
    ) -> impl Future<Output = Result<Vec<SessionId>, BeyondError>> + Send;
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

    /// A run of this errand, which is a new one unless the request is seen to
    /// be a repetition. Nothing happens until it is started.
    fn begin(
        &self,
        errand: Errand,
        imprint: Imprint,
    ) -> impl Future<Output = Result<Run, SessionError>> + Send;

    /// Whether groups of candidates can be scored.
    fn supports_score_group(&self) -> bool;

    /// The run of this id, unless it is forgotten. One whose id was given to
    /// the client and that never began begins now, with this errand.
    fn resume(
        &self,
        task_id: &str,
        errand: Errand,
        imprint: Imprint,
    ) -> impl Future<Output = Result<Option<Run>, SessionError>> + Send;
}

/// How an environment begins a conversation: with whichever of the two it has.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversation {
    /// Blocks.
    Prompt(Vec<Block>),
    /// Messages.
    Messages(Vec<Message>),
}
