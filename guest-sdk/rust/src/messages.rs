//! Conversations: what an environment may begin an episode with, and what it
//! is given to score.

use serde::Serialize;

use crate::{
    Block, Error, Image, Result, Text,
    json::{Json, Object},
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the agent up.
    System,
    /// Whoever the agent answers to; tool results are its too.
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
    /// Who speaks.
    pub role: Role,
    /// What is said. A system message holds text and images; a user message
    /// those and tool results; an assistant message text, images, reasoning
    /// and tool calls.
    pub blocks: Vec<MessageBlock>,
    /// What goes with it for tools and viewers.
    pub detail: Option<Object>,
}

impl Message {
    /// An empty message.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            blocks: Vec::new(),
            detail: None,
        }
    }

    /// An empty system message.
    pub fn system() -> Self {
        Self::new(Role::System)
    }

    /// An empty user message.
    pub fn user() -> Self {
        Self::new(Role::User)
    }

    /// An empty assistant message.
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

    /// Adds detail: a JSON object for tools and viewers, which the agent does
    /// not see.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }

    /// The text of each block of text.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            MessageBlock::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
    }

    /// Whether every block may stand where it stands.
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

/// What messages consist of.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageBlock {
    /// Text.
    Text(Text),
    /// A picture.
    Image(Image),
    /// What a model thought.
    Reasoning(Reasoning),
    /// A call that a model made.
    ToolCall(ToolCall),
    /// What a call gave.
    ToolResult(ToolResult),
}

/// What a model thought before it answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasoning {
    /// The thought.
    pub text: String,
    /// The model maker's proof that the text is unchanged.
    pub signature: Option<String>,
    /// What goes with it for tools and viewers.
    pub detail: Option<Object>,
}

impl Reasoning {
    /// A thought.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            signature: None,
            detail: None,
        }
    }

    /// Adds the model maker's signature.
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
    /// The tool.
    pub name: String,
    /// What it was given.
    pub input: Object,
    /// What goes with it for tools and viewers.
    pub detail: Option<Object>,
}

impl ToolCall {
    /// A call; `input` is a JSON object.
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

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The `id` of the call.
    pub tool_call_id: String,
    /// What the agent saw.
    pub blocks: Vec<Block>,
    /// True if the call failed.
    pub is_error: bool,
    /// What goes with it for tools and viewers.
    pub detail: Option<Object>,
}

impl ToolResult {
    /// What a call gave.
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

    /// Says that the call failed.
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

/// A conversation to be scored beside others.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The conversation.
    pub messages: Vec<Message>,
    /// What the client sent along, a JSON object as it was written.
    pub metadata: Option<Json>,
}

impl Candidate {
    /// A conversation without metadata.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            metadata: None,
        }
    }

    /// The text of each block of text in each message.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flat_map(Message::texts)
    }
}

/// The score of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// How good the candidate is: a finite number.
    pub reward: f64,
    /// What goes with it.
    pub metadata: Option<Object>,
}

impl Score {
    /// A score without metadata.
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
