//! What comes of an entry into the guest, as those who asked are told it.
//!
//! An entry is a [`journal::GuestRequest`](orwd_journal::GuestRequest) and what comes of it an
//! [`GuestOutcome`], whether a journal is kept or not: each entry may change what
//! the guest holds, so that these, in their order, are what a session is.

use super::service::{Conversation, SessionError};
use orwd_journal::GuestOutcome;
use orwd_model::{Fault, FaultCode, RunOutcome, ToolSpec};

/// What the readers of a run are told. A guest gives the kind of answer that
/// fits the question, so that another kind is a mistake of ours.
pub(super) fn run(outcome: GuestOutcome) -> RunOutcome {
    let run = outcome.into_run();
    run.unwrap_or_else(|| RunOutcome::Faulted(misfit()))
}

/// What the reader of a prompt or a conversation is told.
pub(super) fn conversation(outcome: GuestOutcome) -> Result<Conversation, SessionError> {
    match outcome {
        GuestOutcome::Blocks(blocks) => Ok(Conversation::Prompt(blocks)),
        GuestOutcome::Messages(messages) => Ok(Conversation::Messages(messages)),
        other => Err(error(other)),
    }
}

/// What the reader of a listing is told.
pub(super) fn tools(outcome: GuestOutcome) -> Result<Vec<ToolSpec>, SessionError> {
    match outcome {
        GuestOutcome::Tools(tools) => Ok(tools),
        other => Err(error(other)),
    }
}

fn error(outcome: GuestOutcome) -> SessionError {
    match outcome {
        GuestOutcome::Failed(message) => SessionError::Failed(message),
        GuestOutcome::Faulted(fault) => SessionError::Faulted(fault),
        _ => SessionError::Faulted(misfit()),
    }
}

fn misfit() -> Fault {
    Fault::new(FaultCode::Internal, "the answer is of another kind")
}

/// A run that found its session gone. What is refused before there is a run is
/// not asked here.
pub(super) fn not_run(error: SessionError) -> RunOutcome {
    match error {
        SessionError::Gone(fault) | SessionError::Faulted(fault) => RunOutcome::Faulted(fault),
        SessionError::SetupFailed(message) | SessionError::Failed(message) => {
            RunOutcome::Failed(message)
        }
        // The host's doing: the stream is broken off, and the client asks
        // again and learns the reason.
        SessionError::Deleted
        | SessionError::Starting
        | SessionError::Lost(_)
        | SessionError::KeyReused
        | SessionError::TooManyCalls => RunOutcome::Faulted(Fault::new(
            FaultCode::Interrupted,
            "the session ended before the call began",
        )),
    }
}
