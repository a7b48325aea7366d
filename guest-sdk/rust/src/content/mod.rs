//! What agents see: blocks, messages and tool outputs.

mod blocks;
mod messages;
mod output;

pub use blocks::{Block, Image, Text, text};
pub use messages::{
    Candidate, Message, MessageBlock, Reasoning, Role, Score, ToolCall, ToolResult,
};
pub use output::{IntoOutput, Output, ToolError};
