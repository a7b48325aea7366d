//! Blocks, messages and candidates (wire contract section 7).
//!
//! They hold values as the guest returned them or as a client sent them. Their
//! wire form belongs to the protocol crate; the serde form here is that of
//! journal records.

use serde::{Deserialize, Serialize};

use super::json::{Json, json_text};

/// A block of a prompt or of a tool's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Extra data for tools and viewers.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "json_text::option"
        )]
        detail: Option<Json>,
    },
    /// An image.
    Image {
        /// The bytes of the file.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        /// The media type, such as `image/png`.
        #[serde(rename = "mime")]
        mime_type: String,
        /// Extra data for tools and viewers.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "json_text::option"
        )]
        detail: Option<Json>,
    },
}

/// A block of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MessageBlock {
    /// Text or an image.
    Plain(Block),
    /// A model's reasoning.
    Reasoning {
        /// The text.
        text: String,
        /// The model provider's signature that the text is unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// Extra data for tools and viewers.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "json_text::option"
        )]
        detail: Option<Json>,
    },
    /// A tool call that a model made.
    ToolCall {
        /// The id that pairs the call with its result.
        id: String,
        /// The tool.
        name: String,
        /// The input.
        #[serde(with = "json_text")]
        input: Json,
        /// Extra data for tools and viewers.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "json_text::option"
        )]
        detail: Option<Json>,
    },
    /// The result of a tool call.
    ToolResult {
        /// The id of the call.
        #[serde(rename = "id")]
        tool_call_id: String,
        /// The result.
        blocks: Vec<Block>,
        /// True if the call failed.
        #[serde(rename = "error")]
        is_error: bool,
        /// Extra data for tools and viewers.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "json_text::option"
        )]
        detail: Option<Json>,
    },
}

named_enum! {
    /// The author of a message.
    Role;
    /// Instructions: text and images.
    System = "system",
    /// The environment: text, images and tool results.
    User = "user",
    /// The agent: text, images, reasoning and tool calls.
    Assistant = "assistant",
}

impl Role {
    /// Whether a message of this role may hold the block (wire contract section
    /// 7, "placement").
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The content. The role allows each of the blocks.
    pub blocks: Vec<MessageBlock>,
    /// Extra data for tools and viewers.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "json_text::option"
    )]
    pub detail: Option<Json>,
}

impl Message {
    /// Whether the role allows every block.
    pub fn is_valid(&self) -> bool {
        self.blocks.iter().all(|block| self.role.allows(block))
    }
}

/// A conversation that a client wants scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The client's own notes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "json_text::option"
    )]
    pub metadata: Option<Json>,
}
