//! Conversations, which an environment can start an episode with and which it
//! scores.

use serde::Serialize;

use crate::{
    Block, Error, Image, Result, Text,
    json::{Json, Object},
};

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The instructions of the operator of the agent.
    System,
    /// The user of the agent; tool results have this role too.
    User,
    /// The agent.
    Assistant,
}

/// One message of a conversation.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// let conversation = vec![
///     Message::system().text("Be brief."),
///     Message::user().text("Add 2 and 2."),
///     Message::assistant().with(ToolCall::new("c1", "calc", json!({"expr": "2+2"}))),
///     Message::user().with(ToolResult::new("c1", [text("4")])).text("So?"),
/// ];
/// # assert_eq!(conversation.len(), 4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The author of a message.
    pub role: Role,
    /// The content. A system message consists of text and images, a user message
    /// also of tool results, and an assistant message of text, images, reasoning
    /// and tool calls.
    pub blocks: Vec<MessageBlock>,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl Message {
    /// Creates an empty message.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            blocks: Vec::new(),
            detail: None,
        }
    }

    /// Creates an empty system message.
    pub fn system() -> Self {
        Self::new(Role::System)
    }

    /// Creates an empty user message.
    pub fn user() -> Self {
        Self::new(Role::User)
    }

    /// Creates an empty assistant message.
    pub fn assistant() -> Self {
        Self::new(Role::Assistant)
    }

    /// Adds a block.
    pub fn with(mut self, block: impl Into<MessageBlock>) -> Self {
        self.blocks.push(block.into());
        self
    }

    /// Adds text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Text::new(text))
    }

    /// Adds detail: a JSON object for tools and viewers that the agent does not
    /// see.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }

    /// Returns the text of each text block.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            MessageBlock::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
    }

    /// Validates that the role allows every block.
    pub(crate) fn check(&self) -> Result<()> {
        for block in &self.blocks {
            let (what, fits) = match block {
                MessageBlock::Text(_) | MessageBlock::Image(_) => continue,
                MessageBlock::Reasoning(_) => ("reasoning", self.role == Role::Assistant),
                MessageBlock::ToolCall(_) => ("a tool call", self.role == Role::Assistant),
                MessageBlock::ToolResult(_) => ("a tool result", self.role == Role::User),
            };
            if !fits {
                let role = match self.role {
                    Role::System => "a system",
                    Role::User => "a user",
                    Role::Assistant => "an assistant",
                };
                return Err(Error::msg(format_args!(
                    "{role} message cannot hold {what}"
                )));
            }
        }
        Ok(())
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageBlock {
    /// Text.
    Text(Text),
    /// A picture.
    Image(Image),
    /// The reasoning of a model.
    Reasoning(Reasoning),
    /// A call that a model made.
    ToolCall(ToolCall),
    /// The result of a call.
    ToolResult(ToolResult),
}

/// The reasoning of a model before its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasoning {
    /// The text.
    pub text: String,
    /// The signature with which the model's provider verifies the text.
    pub signature: Option<String>,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl Reasoning {
    /// Creates a reasoning block.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            signature: None,
            detail: None,
        }
    }

    /// Adds the signature of the model's provider.
    pub fn signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// Adds detail, a JSON object.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }
}

/// A call that a model made.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Pairs the call with its result.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The input of the tool.
    pub input: Object,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl ToolCall {
    /// Creates a call; `input` is a JSON object.
    pub fn new(id: impl Into<String>, name: impl Into<String>, input: impl Serialize) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            input: Object::new(input),
            detail: None,
        }
    }

    /// Adds detail, a JSON object.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The `id` of the call.
    pub tool_call_id: String,
    /// The blocks that the agent saw.
    pub blocks: Vec<Block>,
    /// True if the call failed.
    pub is_error: bool,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl ToolResult {
    /// Creates a result.
    pub fn new<B: Into<Block>>(
        tool_call_id: impl Into<String>,
        blocks: impl IntoIterator<Item = B>,
    ) -> Self {
        Self {
            tool_call_id: tool_call_id.into(),
            blocks: blocks.into_iter().map(Into::into).collect(),
            is_error: false,
            detail: None,
        }
    }

    /// Marks the call as failed.
    pub fn error(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// Adds detail, a JSON object.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }
}

impl From<Block> for MessageBlock {
    fn from(block: Block) -> Self {
        match block {
            Block::Text(text) => Self::Text(text),
            Block::Image(image) => Self::Image(image),
        }
    }
}

impl From<Text> for MessageBlock {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Image> for MessageBlock {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<Reasoning> for MessageBlock {
    fn from(reasoning: Reasoning) -> Self {
        Self::Reasoning(reasoning)
    }
}

impl From<ToolCall> for MessageBlock {
    fn from(call: ToolCall) -> Self {
        Self::ToolCall(call)
    }
}

impl From<ToolResult> for MessageBlock {
    fn from(result: ToolResult) -> Self {
        Self::ToolResult(result)
    }
}

/// A conversation of a group that is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The metadata that the client sent: a JSON object, unchanged.
    pub metadata: Option<Json>,
}

impl Candidate {
    /// Creates a candidate without metadata.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            metadata: None,
        }
    }

    /// Returns the text of each text block of each message.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flat_map(Message::texts)
    }
}

/// The score of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The reward, a finite number.
    pub reward: f64,
    /// Metadata, a JSON object.
    pub metadata: Option<Object>,
}

impl Score {
    /// Creates a score without metadata.
    pub fn new(reward: f64) -> Self {
        Self {
            reward,
            metadata: None,
        }
    }

    /// Adds metadata, a JSON object.
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = Some(Object::new(metadata));
        self
    }
}

impl From<f64> for Score {
    fn from(reward: f64) -> Self {
        Self::new(reward)
    }
}
