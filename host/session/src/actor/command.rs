//! The commands that an actor receives.

use std::time::Instant;

use orwd_journal::EndReason;
use orwd_limiter::BytePermit;
use orwd_model::{RunId, ToolSpec};
use tokio::sync::oneshot;

use crate::actor::state::ActivityGuard;
use crate::api::charged::Charged;
use crate::api::error::SessionError;
use crate::api::principal::Principal;
use crate::api::request::{RequestFingerprint, RunRequest};
use crate::api::service::Conversation;
use crate::limits::quota::QuotaPermit;
use crate::runs::recorded_runs::RunLookup;
use crate::runs::run::{OutcomeSender, StartSignal};

/// A command to the actor of a session.
pub(crate) enum Command {
    /// Return the prompt.
    Prompt(ReplySender<Charged<Conversation>>, ActivityGuard),
    /// Return the conversation.
    Messages(ReplySender<Charged<Conversation>>, ActivityGuard),
    /// Return the tools of the task.
    TaskTools(ReplySender<Vec<ToolSpec>>, ActivityGuard),
    /// Execute a run.
    Run(Box<QueuedRun>, ActivityGuard),
    /// Bring the guest into memory.
    Resume(ActivityGuard),
    /// Drop the guest, if the journal can rebuild it. Replies whether it did.
    Hibernate(oneshot::Sender<bool>),
    /// Look up a run in the journal.
    FindRun(RunId, ReplySender<RunLookup>, ActivityGuard),
    /// Process what is queued, then end; the reply comes after the teardown.
    End(EndCause, oneshot::Sender<()>),
}

/// Where the result of a command is sent.
pub(crate) type ReplySender<T> = oneshot::Sender<Result<T, SessionError>>;

/// Why a session is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// The client deleted it.
    Deleted,
    /// It was idle for too long.
    Expired,
    /// The server stops. What the journal can rebuild continues later.
    Stopped,
}

impl From<EndCause> for EndReason {
    fn from(cause: EndCause) -> EndReason {
        match cause {
            EndCause::Deleted => EndReason::Deleted,
            EndCause::Expired => EndReason::Expired,
            EndCause::Stopped => EndReason::Stopped,
        }
    }
}

/// A run that was announced.
pub(crate) struct QueuedRun {
    pub(crate) id: RunId,
    pub(crate) request: RunRequest,
    pub(crate) fingerprint: RequestFingerprint,
    pub(crate) outcome: OutcomeSender,
    /// Resolves once the run's id is on its way to the client.
    pub(crate) start: StartSignal,
    /// Its part of the owner's quota of calls in flight.
    pub(crate) quota: Option<QuotaPermit>,
    /// Its part of the memory for calls.
    pub(crate) memory: BytePermit<Principal>,
    /// When it was announced.
    pub(crate) arrived: Instant,
}
