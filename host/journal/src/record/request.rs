//! Requests to a guest, and their outcomes.

use orwd_model::{
    Block, Candidate, EncodedSize, Fault, Json, Message, Refusal, RunOutcome, Score, ToolOutput,
    ToolSpec, json_text,
};
use serde::{Deserialize, Serialize};

/// A request to a guest. Each may change the guest's state, so the requests in
/// their order, with their outcomes, determine the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuestRequest {
    /// Set up the episode.
    Setup,
    /// Return the prompt.
    Prompt,
    /// Return the messages.
    Messages,
    /// Return the tools of the task.
    TaskTools,
    /// Run a tool.
    Call {
        /// The tool.
        tool: String,
        /// The input, as the client wrote it.
        #[serde(with = "json_text")]
        input: Json,
    },
    /// Score a group.
    Score {
        /// The group.
        candidates: Vec<Candidate>,
    },
    /// Tear down the episode.
    Teardown,
}

impl GuestRequest {
    /// Returns the name of the request.
    pub fn as_str(&self) -> &'static str {
        match self {
            GuestRequest::Setup => "setup",
            GuestRequest::Prompt => "prompt",
            GuestRequest::Messages => "messages",
            GuestRequest::TaskTools => "task tools",
            GuestRequest::Call { .. } => "call",
            GuestRequest::Score { .. } => "score",
            GuestRequest::Teardown => "teardown",
        }
    }

    /// Whether the request is a run: a call or a scoring.
    pub fn is_run(&self) -> bool {
        matches!(self, GuestRequest::Call { .. } | GuestRequest::Score { .. })
    }

    /// Returns the tool of a call.
    pub fn tool(&self) -> Option<&str> {
        match self {
            GuestRequest::Call { tool, .. } => Some(tool),
            _ => None,
        }
    }
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuestOutcome {
    /// The setup or the teardown succeeded.
    Done,
    /// A prompt.
    Blocks(Vec<Block>),
    /// A conversation.
    Messages(Vec<Message>),
    /// The tools of the task.
    Tools(Vec<ToolSpec>),
    /// The output of a tool.
    Output(ToolOutput),
    /// A scored group.
    Scores(Vec<Score>),
    /// A call that was not run.
    Refused(Refusal),
    /// A failure with the guest's own message. The session continues, unless
    /// its setup failed.
    Failed(String),
    /// A fault ended the session.
    Faulted(Fault),
    /// The teardown succeeded, and files were published into shared data. A
    /// replay does not publish again.
    Published {
        /// The number of files written.
        files: u64,
    },
}

impl GuestOutcome {
    /// Returns the name of the outcome.
    pub fn as_str(&self) -> &'static str {
        match self {
            GuestOutcome::Done => "done",
            GuestOutcome::Blocks(_) => "prompt",
            GuestOutcome::Messages(_) => "messages",
            GuestOutcome::Tools(_) => "tools",
            GuestOutcome::Output(_) => "output",
            GuestOutcome::Scores(_) => "scores",
            GuestOutcome::Refused(_) => "refused",
            GuestOutcome::Failed(_) => "failed",
            GuestOutcome::Faulted(_) => "faulted",
            GuestOutcome::Published { .. } => "published",
        }
    }

    /// Returns about how many bytes the outcome takes; nothing for a short one.
    pub fn size_hint(&self) -> usize {
        match self {
            GuestOutcome::Output(output) => output.encoded_size(),
            GuestOutcome::Blocks(blocks) => blocks.iter().map(EncodedSize::encoded_size).sum(),
            GuestOutcome::Messages(messages) => {
                messages.iter().map(EncodedSize::encoded_size).sum()
            }
            GuestOutcome::Tools(tools) => tools.iter().map(EncodedSize::encoded_size).sum(),
            GuestOutcome::Scores(scores) => scores.iter().map(EncodedSize::encoded_size).sum(),
            GuestOutcome::Failed(message) => message.len(),
            GuestOutcome::Done
            | GuestOutcome::Refused(_)
            | GuestOutcome::Faulted(_)
            | GuestOutcome::Published { .. } => 0,
        }
    }

    /// Returns the output of a tool.
    pub fn output(&self) -> Option<&ToolOutput> {
        match self {
            GuestOutcome::Output(output) => Some(output),
            _ => None,
        }
    }

    /// Returns the fault that ended the session.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            GuestOutcome::Faulted(fault) => Some(fault),
            _ => None,
        }
    }

    /// Converts the outcome of a run. Returns `None` for an outcome that no run
    /// has.
    pub fn into_run(self) -> Option<RunOutcome> {
        match self {
            GuestOutcome::Output(output) => Some(RunOutcome::Output(output)),
            GuestOutcome::Scores(scores) => Some(RunOutcome::Scores(scores)),
            GuestOutcome::Refused(refusal) => Some(RunOutcome::Refused(refusal)),
            GuestOutcome::Failed(message) => Some(RunOutcome::Failed(message)),
            GuestOutcome::Faulted(fault) => Some(RunOutcome::Faulted(fault)),
            GuestOutcome::Done
            | GuestOutcome::Blocks(_)
            | GuestOutcome::Messages(_)
            | GuestOutcome::Tools(_)
            | GuestOutcome::Published { .. } => None,
        }
    }
}

impl From<RunOutcome> for GuestOutcome {
    fn from(outcome: RunOutcome) -> GuestOutcome {
        match outcome {
            RunOutcome::Output(output) => GuestOutcome::Output(output),
            RunOutcome::Scores(scores) => GuestOutcome::Scores(scores),
            RunOutcome::Refused(refusal) => GuestOutcome::Refused(refusal),
            RunOutcome::Failed(message) => GuestOutcome::Failed(message),
            RunOutcome::Faulted(fault) => GuestOutcome::Faulted(fault),
        }
    }
}
