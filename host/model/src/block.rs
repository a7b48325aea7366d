//! What agents read: blocks and messages (wire contract section 7).
//!
//! Values as the guest gave them or a client sent them; how they are written
//! is the protocol's affair.

use super::Json;

/// What a prompt or a tool's output consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A piece of text.
    Text {
        /// The text.
        text: String,
        /// For tools and viewers.
        detail: Option<Json>,
    },
    /// A picture.
    Image {
        /// The bytes of the file.
        data: Vec<u8>,
        /// For example `image/png`.
        mime_type: String,
        /// For tools and viewers.
        detail: Option<Json>,
    },
}

/// What a message consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageBlock {
    /// Text or a picture.
    Plain(Block),
    /// What a model thought.
    Reasoning {
        /// The thought.
        text: String,
        /// The model maker's proof that it is unchanged.
        signature: Option<String>,
        /// For tools and viewers.
        detail: Option<Json>,
    },
    /// A call that a model made.
    ToolCall {
        /// Pairs the call with its result.
        id: String,
        /// The tool.
        name: String,
        /// What it was called with.
        input: Json,
        /// For tools and viewers.
        detail: Option<Json>,
    },
    /// What a call gave.
    ToolResult {
        /// The id of the call.
        tool_call_id: String,
        /// What it gave.
        blocks: Vec<Block>,
        /// True if the call failed.
        is_error: bool,
        /// For tools and viewers.
        detail: Option<Json>,
    },
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions; text and images.
    System,
    /// The world; text, images and tool results.
    User,
    /// The agent; text, images, reasoning and tool calls.
    Assistant,
}

impl Role {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }

    /// The kinds of block that a message of this role may hold, beyond text
    /// and images (wire contract section 7, "placement").
    pub fn allows(self, block: &MessageBlock) -> bool {
        match block {
            MessageBlock::Plain(_) => true,
            MessageBlock::ToolResult { .. } => self == Role::User,
            MessageBlock::Reasoning { .. } | MessageBlock::ToolCall { .. } => {
                self == Role::Assistant
            }
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; each block is one that the role allows.
    pub blocks: Vec<MessageBlock>,
    /// For tools and viewers.
    pub detail: Option<Json>,
}

/// A conversation that a client wants scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The client's own notes.
    pub metadata: Option<Json>,
}
