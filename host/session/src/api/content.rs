//! The content of steps: what clients sent and what the guest returned, as people
//! and tools read it.
//!
//! It is for the session's owner only. A picture is shown by its size and
//! digest, so that a page of steps stays small.

use std::fmt;

use orwd_journal::{GuestOutcome, GuestRequest};
use orwd_model::{Block, Candidate, Digest, Json, Message, MessageBlock, Score};
use serde::Serialize;

use crate::api::summary::StepSummary;

/// Some steps of a session, in order.
#[derive(Clone, Debug, Serialize)]
pub struct StepPage {
    /// The steps.
    pub steps: Vec<StepContent>,
    /// Where the next page begins, as text of a [`StepCursor`]; `None` at the end.
    pub next: Option<String>,
}

/// Where a page of steps begins. As text: the record, and after a dot the number
/// of calls and scorings before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCursor {
    /// The record.
    pub record: u64,
    /// The calls and scorings before it. `None` if unknown; then the records before
    /// are read to count them.
    pub counted: Option<u64>,
}

impl StepCursor {
    /// Parses a record with or without the number of calls before it.
    pub fn parse(text: &str) -> Option<StepCursor> {
        let (record, counted) = match text.split_once('.') {
            Some((record, counted)) => (record, Some(counted.parse().ok()?)),
            None => (text, None),
        };
        Some(StepCursor {
            record: record.parse().ok()?,
            counted,
        })
    }
}

impl fmt::Display for StepCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.counted {
            Some(counted) => write!(f, "{}.{counted}", self.record),
            None => write!(f, "{}", self.record),
        }
    }
}

/// A step with its content.
#[derive(Clone, Debug, Serialize)]
pub struct StepContent {
    /// The step.
    #[serde(flatten)]
    pub summary: StepSummary,
    /// The CPU time that the guest used, in microseconds.
    pub cpu_us: Option<u64>,
    /// What the client sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<StepInput>,
    /// What the guest returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<StepOutput>,
    /// Whether the content is sealed, or was never journaled, because the
    /// session has secrets.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

/// What a client sent.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum StepInput {
    /// The input of a tool.
    Call(Json),
    /// The candidates of a scoring.
    Score(Vec<CandidateContent>),
}

/// A candidate of a scoring.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateContent {
    /// Its conversation.
    pub messages: Vec<MessageContent>,
    /// The client's notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

/// A message of a conversation.
#[derive(Clone, Debug, Serialize)]
pub struct MessageContent {
    /// Its author.
    pub role: &'static str,
    /// Its content.
    pub blocks: Vec<BlockContent>,
}

/// A block of a prompt, an output or a message.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BlockContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its media type.
        mime_type: String,
        /// Its size.
        bytes: usize,
        /// The digest of its bytes.
        digest: String,
    },
    /// A model's reasoning.
    Reasoning {
        /// The text.
        text: String,
    },
    /// A call that a model made.
    ToolCall {
        /// The tool.
        name: String,
        /// Its input.
        input: Json,
    },
    /// The result of a call.
    ToolResult {
        /// The content of the result.
        blocks: Vec<BlockContent>,
        /// Whether the call failed.
        error: bool,
    },
}

/// What a guest returned. Absent fields are empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StepOutput {
    /// The blocks of a prompt or of a tool's output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockContent>,
    /// The messages of a conversation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageContent>,
    /// The names of the tools that a task has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Extra data of a tool's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// The reward of a tool's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// Whether a tool's output ended the episode.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// The scores of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreContent>,
    /// Why there is no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// The number of published files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
}

/// The score of a candidate.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreContent {
    /// Its reward.
    pub reward: f64,
    /// Extra data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

/// Why a step has no output.
#[derive(Clone, Debug, Serialize)]
pub struct StepError {
    /// The reason of a refusal, the code of a fault, or `failed`.
    pub reason: &'static str,
    /// The message, of the guest or of the host.
    pub message: String,
}

impl StepInput {
    /// Returns the input of a request; `None` if it has none.
    pub fn of(request: &GuestRequest) -> Option<StepInput> {
        match request {
            GuestRequest::Call { input, .. } => Some(StepInput::Call(input.clone())),
            GuestRequest::Score { candidates } => Some(StepInput::Score(
                candidates.iter().map(CandidateContent::of).collect(),
            )),
            _ => None,
        }
    }
}

impl StepOutput {
    /// Returns what an outcome holds.
    pub fn of(outcome: &GuestOutcome) -> StepOutput {
        let mut shown = StepOutput::default();
        let error = |reason, message: &str| {
            Some(StepError {
                reason,
                message: message.to_owned(),
            })
        };
        match outcome {
            GuestOutcome::Done => {}
            GuestOutcome::Blocks(blocks) => shown.blocks = all(blocks),
            GuestOutcome::Messages(messages) => {
                shown.messages = messages.iter().map(MessageContent::of).collect();
            }
            GuestOutcome::Tools(tools) => {
                shown.tools = tools.iter().map(|tool| tool.name.clone()).collect();
            }
            GuestOutcome::Output(output) => {
                shown.blocks = all(&output.blocks);
                shown.metadata.clone_from(&output.metadata);
                shown.reward = output.reward.map(|reward| reward.get());
                shown.finished = output.finished;
            }
            GuestOutcome::Scores(scores) => {
                shown.scores = scores.iter().map(ScoreContent::of).collect();
            }
            GuestOutcome::Refused(refusal) => {
                shown.error = error(refusal.reason.as_str(), &refusal.message);
            }
            GuestOutcome::Failed(message) => shown.error = error("failed", message),
            GuestOutcome::Faulted(fault) => {
                shown.error = error(fault.code.as_str(), &fault.to_string());
            }
            GuestOutcome::Published { files } => shown.published = Some(*files),
        }
        shown
    }
}

impl CandidateContent {
    fn of(candidate: &Candidate) -> CandidateContent {
        CandidateContent {
            messages: candidate.messages.iter().map(MessageContent::of).collect(),
            metadata: candidate.metadata.clone(),
        }
    }
}

impl MessageContent {
    fn of(message: &Message) -> MessageContent {
        MessageContent {
            role: message.role.as_str(),
            blocks: message
                .blocks
                .iter()
                .map(BlockContent::of_message)
                .collect(),
        }
    }
}

impl ScoreContent {
    fn of(score: &Score) -> ScoreContent {
        ScoreContent {
            reward: score.reward.get(),
            metadata: score.metadata.clone(),
        }
    }
}

impl BlockContent {
    fn of(block: &Block) -> BlockContent {
        match block {
            Block::Text { text, .. } => BlockContent::Text { text: text.clone() },
            Block::Image {
                data, mime_type, ..
            } => BlockContent::Image {
                mime_type: mime_type.clone(),
                bytes: data.len(),
                digest: Digest::of(data).to_string(),
            },
        }
    }

    fn of_message(block: &MessageBlock) -> BlockContent {
        match block {
            MessageBlock::Plain(block) => BlockContent::of(block),
            MessageBlock::Reasoning { text, .. } => BlockContent::Reasoning { text: text.clone() },
            MessageBlock::ToolCall { name, input, .. } => BlockContent::ToolCall {
                name: name.clone(),
                input: input.clone(),
            },
            MessageBlock::ToolResult {
                blocks, is_error, ..
            } => BlockContent::ToolResult {
                blocks: all(blocks),
                error: *is_error,
            },
        }
    }
}

fn all(blocks: &[Block]) -> Vec<BlockContent> {
    blocks.iter().map(BlockContent::of).collect()
}
