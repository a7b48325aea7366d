//! Everything that can be asked of a session's guest once its episode is
//! open, and everything that can come of it.
//!
//! One type for all of it, because each entry may change what the guest holds:
//! what is done again to rebuild a session is these, in their order, and
//! nothing else.

use super::service::{Conversation, SessionError};
use crate::model::{
    Block, Candidate, Fault, FaultCode, Json, Message, Refusal, RunOutcome, Score, ToolOutput,
    ToolSpec,
};

/// An entry into the guest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    /// Make the episode ready. Always the first, and never twice.
    Setup,
    /// The blocks that begin the conversation.
    Prompt,
    /// The conversation so far.
    Messages,
    /// The tools that the task adds.
    TaskTools,
    /// Call a tool.
    Call { tool: String, input: Json },
    /// Score candidates beside each other.
    Score(Vec<Candidate>),
    /// End the episode. Always the last.
    Teardown,
}

/// What came of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// It is done, and there is nothing to tell.
    Done,
    /// A prompt.
    Prompt(Vec<Block>),
    /// A conversation.
    Messages(Vec<Message>),
    /// Tools.
    Tools(Vec<ToolSpec>),
    /// A tool gave this.
    Output(ToolOutput),
    /// A group was scored.
    Scores(Vec<Score>),
    /// The guest was not entered, or would not run the call.
    Refused(Refusal),
    /// The guest failed, in its own words; the session goes on.
    Failed(String),
    /// The guest is gone.
    Faulted(Fault),
}

impl Outcome {
    /// What the readers of a run are told. A guest gives the kind of answer
    /// that fits the question, so that another kind is a mistake of ours.
    pub(super) fn into_run(self) -> RunOutcome {
        match self {
            Outcome::Output(output) => RunOutcome::Output(output),
            Outcome::Scores(scores) => RunOutcome::Scores(scores),
            Outcome::Refused(refusal) => RunOutcome::Refused(refusal),
            Outcome::Failed(message) => RunOutcome::Failed(message),
            Outcome::Faulted(fault) => RunOutcome::Faulted(fault),
            Outcome::Done | Outcome::Prompt(_) | Outcome::Messages(_) | Outcome::Tools(_) => {
                RunOutcome::Faulted(misfit())
            }
        }
    }

    /// What the reader of a prompt or a conversation is told.
    pub(super) fn into_conversation(self) -> Result<Conversation, SessionError> {
        match self {
            Outcome::Prompt(blocks) => Ok(Conversation::Prompt(blocks)),
            Outcome::Messages(messages) => Ok(Conversation::Messages(messages)),
            other => Err(other.into_error()),
        }
    }

    /// What the reader of a listing is told.
    pub(super) fn into_tools(self) -> Result<Vec<ToolSpec>, SessionError> {
        match self {
            Outcome::Tools(tools) => Ok(tools),
            other => Err(other.into_error()),
        }
    }

    fn into_error(self) -> SessionError {
        match self {
            Outcome::Failed(message) => SessionError::Failed(message),
            Outcome::Faulted(fault) => SessionError::Faulted(fault),
            _ => SessionError::Faulted(misfit()),
        }
    }
}

fn misfit() -> Fault {
    Fault::new(FaultCode::Internal, "the answer is of another kind")
}
