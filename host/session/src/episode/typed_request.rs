//! The requests to a guest, each with the type of its response.
//!
//! The journal holds a request as an [`GuestRequest`] and a response as an [`GuestOutcome`].
//! Each request may change the state of the guest, so that these, in order, are
//! what a session is. The actor works with the typed pairs of this module;
//! a replay works with an [`GuestRequest`], whose response is any [`GuestOutcome`].

use std::future::Future;

use orwd_engine::{EntryError, HttpMode};
use orwd_journal::{GuestOutcome, GuestRequest};
use orwd_model::{Block, Fault, HeapSize, Message, RunOutcome, Timestamp, ToolSpec};

use crate::api::request::RunRequest;
use crate::episode::guest::Guest;
use crate::runs::result_memory::outcome_size;

/// A request to a guest.
pub(crate) trait TypedRequest: Send + Sync {
    /// What the guest responds.
    type Response: TypedResponse;

    /// Whether the guest returns content, for which the host needs room.
    const RETURNS: bool = true;

    /// Returns the request as it is journaled.
    fn to_record(&self) -> GuestRequest;

    /// Calls the guest.
    fn perform(&self, guest: &mut Guest) -> impl Future<Output = Self::Response> + Send;
}

/// Performs a request that arrived at this moment; `http` says where the results
/// of the guest's HTTP requests come from. After a fault, and if this
/// future is dropped, the guest is gone and every later request returns a fault.
pub(crate) async fn enter<R: TypedRequest>(
    guest: &mut Guest,
    request: &R,
    at: Timestamp,
    http: HttpMode,
) -> R::Response {
    guest.set_arrival(at);
    guest.set_http_mode(http);
    request.perform(guest).await
}

/// A response of a guest.
pub(crate) trait TypedResponse: Clone + Send + Sync {
    /// Returns the response as it is journaled.
    fn into_outcome(self) -> GuestOutcome;

    /// Returns the response for a request that ended the session.
    fn faulted(fault: Fault) -> Self;

    /// Returns the fault that ended the session, if one did.
    fn fault(&self) -> Option<&Fault>;

    /// Returns the size of the response in memory.
    fn size(&self) -> usize;
}

/// Sets the episode up.
pub(crate) struct Setup;

impl TypedRequest for Setup {
    type Response = Result<(), EntryError>;
    const RETURNS: bool = false;

    fn to_record(&self) -> GuestRequest {
        GuestRequest::Setup
    }

    async fn perform(&self, guest: &mut Guest) -> Self::Response {
        guest.setup().await
    }
}

/// Returns the prompt.
pub(crate) struct Prompt;

impl TypedRequest for Prompt {
    type Response = Result<Vec<Block>, EntryError>;

    fn to_record(&self) -> GuestRequest {
        GuestRequest::Prompt
    }

    async fn perform(&self, guest: &mut Guest) -> Self::Response {
        guest.prompt().await
    }
}

/// Returns the conversation so far.
pub(crate) struct Messages;

impl TypedRequest for Messages {
    type Response = Result<Vec<Message>, EntryError>;

    fn to_record(&self) -> GuestRequest {
        GuestRequest::Messages
    }

    async fn perform(&self, guest: &mut Guest) -> Self::Response {
        guest.messages().await
    }
}

/// Returns the tools of the task.
pub(crate) struct TaskTools;

impl TypedRequest for TaskTools {
    type Response = Result<Vec<ToolSpec>, EntryError>;

    fn to_record(&self) -> GuestRequest {
        GuestRequest::TaskTools
    }

    async fn perform(&self, guest: &mut Guest) -> Self::Response {
        guest.task_tools().await
    }
}

impl TypedRequest for RunRequest {
    type Response = RunOutcome;

    fn to_record(&self) -> GuestRequest {
        match self.clone() {
            RunRequest::Call { tool, input } => GuestRequest::Call { tool, input },
            RunRequest::Score(candidates) => GuestRequest::Score { candidates },
        }
    }

    async fn perform(&self, guest: &mut Guest) -> RunOutcome {
        match self {
            RunRequest::Call { tool, input } => guest.call(tool, input).await,
            RunRequest::Score(candidates) => guest.score(candidates).await,
        }
    }
}

/// Tears the episode down.
pub(crate) struct Teardown;

impl TypedRequest for Teardown {
    type Response = Result<(), EntryError>;
    const RETURNS: bool = false;

    fn to_record(&self) -> GuestRequest {
        GuestRequest::Teardown
    }

    async fn perform(&self, guest: &mut Guest) -> Self::Response {
        guest.teardown().await
    }
}

/// Any request, as the journal holds it.
impl TypedRequest for GuestRequest {
    type Response = GuestOutcome;

    fn to_record(&self) -> GuestRequest {
        self.clone()
    }

    async fn perform(&self, guest: &mut Guest) -> GuestOutcome {
        match self {
            GuestRequest::Setup => guest.setup().await.into_outcome(),
            GuestRequest::Prompt => guest.prompt().await.into_outcome(),
            GuestRequest::Messages => guest.messages().await.into_outcome(),
            GuestRequest::TaskTools => guest.task_tools().await.into_outcome(),
            GuestRequest::Call { tool, input } => guest.call(tool, input).await.into_outcome(),
            GuestRequest::Score { candidates } => guest.score(candidates).await.into_outcome(),
            GuestRequest::Teardown => guest.teardown().await.into_outcome(),
        }
    }
}

impl TypedResponse for RunOutcome {
    fn into_outcome(self) -> GuestOutcome {
        GuestOutcome::from(self)
    }

    fn faulted(fault: Fault) -> RunOutcome {
        RunOutcome::Faulted(fault)
    }

    fn fault(&self) -> Option<&Fault> {
        match self {
            RunOutcome::Faulted(fault) => Some(fault),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        outcome_size(self)
    }
}

impl TypedResponse for GuestOutcome {
    fn into_outcome(self) -> GuestOutcome {
        self
    }

    fn faulted(fault: Fault) -> GuestOutcome {
        GuestOutcome::Faulted(fault)
    }

    fn fault(&self) -> Option<&Fault> {
        match self {
            GuestOutcome::Faulted(fault) => Some(fault),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        self.size_hint()
    }
}

impl<T: ResponseValue> TypedResponse for Result<T, EntryError> {
    fn into_outcome(self) -> GuestOutcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(EntryError::Failed(message)) => GuestOutcome::Failed(message),
            Err(EntryError::Fault(fault)) => GuestOutcome::Faulted(fault),
        }
    }

    fn faulted(fault: Fault) -> Self {
        Err(EntryError::Fault(fault))
    }

    fn fault(&self) -> Option<&Fault> {
        match self {
            Err(EntryError::Fault(fault)) => Some(fault),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Ok(value) => value.size(),
            Err(EntryError::Failed(message)) => message.heap_size(),
            Err(EntryError::Fault(fault)) => fault.heap_size(),
        }
    }
}

/// What a successful request returns.
pub(crate) trait ResponseValue: Clone + Send + Sync {
    /// Returns the value as it is journaled.
    fn into_outcome(self) -> GuestOutcome;

    /// Returns its size in memory.
    fn size(&self) -> usize;
}

impl ResponseValue for () {
    fn into_outcome(self) -> GuestOutcome {
        GuestOutcome::Done
    }

    fn size(&self) -> usize {
        0
    }
}

impl ResponseValue for Vec<Block> {
    fn into_outcome(self) -> GuestOutcome {
        GuestOutcome::Blocks(self)
    }

    fn size(&self) -> usize {
        self.heap_size()
    }
}

impl ResponseValue for Vec<Message> {
    fn into_outcome(self) -> GuestOutcome {
        GuestOutcome::Messages(self)
    }

    fn size(&self) -> usize {
        self.heap_size()
    }
}

impl ResponseValue for Vec<ToolSpec> {
    fn into_outcome(self) -> GuestOutcome {
        GuestOutcome::Tools(self)
    }

    fn size(&self) -> usize {
        self.heap_size()
    }
}
