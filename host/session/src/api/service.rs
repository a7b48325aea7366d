//! The traits that the protocol is written against.

use std::future::Future;

use orwd_catalog::TaskList;
use orwd_model::{Block, EnvName, Json, Message, SessionId, Split, ToolListing};

use crate::api::charged::Charged;
use crate::api::content::{StepCursor, StepPage};
use crate::api::create::{CreatedSession, NewSession};
use crate::api::error::{AdminError, CatalogError, CreateError, SessionError};
use crate::api::principal::Principal;
use crate::api::request::{RequestFingerprint, RunRequest};
use crate::api::summary::{EndedPage, SessionDetail, SessionList, SessionPage, StepRange};
use crate::runs::run::Run;

/// Environments and the sessions on them.
pub trait SessionService: AdminApi + Clone + Send + Sync + 'static {
    /// A cheap handle on one session.
    type Session: Session;

    /// Returns the environments in the order of registration, never none; the
    /// first is the default.
    fn environments(&self) -> &[EnvName];

    /// Returns the environment of this name, whatever its case.
    fn environment(&self, name: &str) -> Option<EnvName>;

    /// Returns whether the server takes new work.
    fn readiness(&self) -> impl Future<Output = Readiness> + Send;

    /// Returns the name and version of the WebAssembly engine.
    fn engine(&self) -> &'static str;

    /// Returns the limits of a session on this environment: names as the
    /// operator sets them, in a fixed order, and values with their units.
    fn limits(&self, env: &EnvName) -> Vec<(&'static str, String)>;

    /// Returns the rules of what an environment may reach by HTTP.
    fn network(&self, env: &EnvName) -> Vec<String>;

    /// Returns the names of the secrets that an environment declares.
    fn required_secrets(&self, env: &EnvName) -> Vec<String>;

    /// Returns the splits of an environment.
    fn splits(&self, env: &EnvName) -> Vec<Split>;

    /// Returns the tools that an environment has for every task.
    fn tools(&self, env: &EnvName) -> ToolListing;

    /// Returns the number of tasks in a split.
    fn num_tasks(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
    ) -> impl Future<Output = Result<u64, CatalogError>> + Send;

    /// Returns all tasks of a split, within the limits on lists. The owner is
    /// the client that waits.
    fn tasks(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
    ) -> impl Future<Output = Result<TaskList, CatalogError>> + Send;

    /// Returns one task. The environment interprets negative indices; `None`
    /// is an integer of more than 64 bits.
    fn task(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> impl Future<Output = Result<Json, CatalogError>> + Send;

    /// Returns the tasks of a Python slice, from its start to before its end,
    /// within the limits on lists. `None` is an open end. Negative
    /// bounds count from the end and are clamped; crossed bounds give nothing.
    /// Bounds of more than 64 bits arrive saturated.
    fn task_range(
        &self,
        owner: &Principal,
        env: &EnvName,
        split: &str,
        bounds: (Option<i64>, Option<i64>),
    ) -> impl Future<Output = Result<TaskList, CatalogError>> + Send;

    /// Creates a session of this owner. Its setup continues after the return.
    fn create(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> impl Future<Output = Result<CreatedSession, CreateError>> + Send;

    /// Returns the owner's open session of this id, and restarts its idle
    /// timeout.
    fn session(&self, owner: &Principal, id: &SessionId) -> Option<Self::Session>;

    /// Ends the owner's open session of this id. Calls in flight finish first;
    /// then the episode is torn down.
    fn delete(&self, owner: &Principal, id: &SessionId) -> impl Future<Output = ()> + Send;
}

/// Whether a server takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is shutting down.
    Draining,
    /// It cannot write its journal, so it refuses new sessions and calls.
    JournalUnavailable,
}

/// Inspection and forking, for people and tools. Not part of the protocol.
pub trait AdminApi {
    /// Returns a page of the owner's open sessions, by their ids.
    fn summaries(
        &self,
        owner: &Principal,
        page: SessionPage,
    ) -> impl Future<Output = Result<SessionList, AdminError>> + Send;

    /// Returns the owner's ended sessions that the journal still has, the newest
    /// first: one page, after the episode `after`.
    fn ended(
        &self,
        owner: &Principal,
        after: Option<&str>,
    ) -> impl Future<Output = Result<EndedPage, AdminError>> + Send;

    /// Returns steps of the owner's session with their content: one page, from
    /// this place on.
    fn steps(
        &self,
        owner: &Principal,
        id: &SessionId,
        from: StepCursor,
    ) -> impl Future<Output = Result<StepPage, AdminError>> + Send;

    /// Returns a session of the owner with a page of its steps. If none of this
    /// id is open, the last one that has ended.
    fn detail(
        &self,
        owner: &Principal,
        id: &SessionId,
        range: StepRange,
    ) -> impl Future<Output = Result<SessionDetail, AdminError>> + Send;

    /// Returns a receipt for a session: JSON, signed by this host.
    fn receipt(
        &self,
        owner: &Principal,
        id: &SessionId,
    ) -> impl Future<Output = Result<String, AdminError>> + Send;

    /// Creates `count` sessions that share the history of this one up to and
    /// including its first `at` calls, or all of it.
    fn fork(
        &self,
        owner: &Principal,
        id: &SessionId,
        at: Option<u64>,
        count: u32,
    ) -> impl Future<Output = Result<Vec<SessionId>, AdminError>> + Send;
}

/// One open session.
pub trait Session: Clone + Send + Sync + 'static {
    /// Returns the environment of the session.
    fn environment(&self) -> &EnvName;

    /// Waits until setup has finished, for at most `--setup-wait`.
    fn ready(&self) -> impl Future<Output = Result<(), SessionError>> + Send;

    /// Returns the tools of the session's task. Does not wait for setup, but
    /// reports one that has failed.
    fn task_tools(&self) -> impl Future<Output = Result<ToolListing, SessionError>> + Send;

    /// Returns the prompt. The protocol flattens a conversation.
    fn prompt(&self) -> impl Future<Output = Result<Charged<Conversation>, SessionError>> + Send;

    /// Returns the conversation. The protocol wraps a prompt.
    fn messages(&self) -> impl Future<Output = Result<Charged<Conversation>, SessionError>> + Send;

    /// Returns a run of this request: the earlier one if the request is a
    /// repetition, else a new one, which does nothing until it is started.
    fn begin_run(
        &self,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> impl Future<Output = Result<Run, SessionError>> + Send;

    /// Returns whether groups of candidates can be scored.
    fn supports_score_group(&self) -> bool;

    /// Returns the run of this id, if its result is still available. A run
    /// whose id the client has but that never began begins now, with this
    /// request.
    fn resume_run(
        &self,
        run_id: &str,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> impl Future<Output = Result<Option<Run>, SessionError>> + Send;
}

/// How an environment begins a conversation: in the form that it supports.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversation {
    /// Blocks.
    Prompt(Vec<Block>),
    /// Messages.
    Messages(Vec<Message>),
}
