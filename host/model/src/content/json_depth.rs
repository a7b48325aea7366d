//! Nesting depth of JSON, which the `json-depth` limit bounds.

use super::block::{Block, Candidate, Message, MessageBlock};
use super::json::Json;
use crate::environment::ToolSpec;
use crate::outcome::{Score, ToolOutput};

/// A value that holds JSON that orwd does not own.
pub trait JsonDepth {
    /// Returns the depth of the deepest JSON object in the value; 0 if it holds
    /// none.
    fn json_depth(&self) -> usize;
}

impl<T: JsonDepth> JsonDepth for [T] {
    fn json_depth(&self) -> usize {
        self.iter()
            .map(JsonDepth::json_depth)
            .max()
            .unwrap_or_default()
    }
}

impl<T: JsonDepth> JsonDepth for Vec<T> {
    fn json_depth(&self) -> usize {
        self.as_slice().json_depth()
    }
}

impl<T: JsonDepth> JsonDepth for Option<T> {
    fn json_depth(&self) -> usize {
        self.as_ref().map_or(0, JsonDepth::json_depth)
    }
}

impl JsonDepth for Json {
    fn json_depth(&self) -> usize {
        self.depth()
    }
}

impl JsonDepth for Block {
    fn json_depth(&self) -> usize {
        match self {
            Block::Text { detail, .. } | Block::Image { detail, .. } => detail.json_depth(),
        }
    }
}

impl JsonDepth for MessageBlock {
    fn json_depth(&self) -> usize {
        match self {
            MessageBlock::Plain(block) => block.json_depth(),
            MessageBlock::Reasoning { detail, .. } => detail.json_depth(),
            MessageBlock::ToolCall { input, detail, .. } => {
                input.json_depth().max(detail.json_depth())
            }
            MessageBlock::ToolResult { blocks, detail, .. } => {
                blocks.json_depth().max(detail.json_depth())
            }
        }
    }
}

impl JsonDepth for Message {
    fn json_depth(&self) -> usize {
        self.blocks.json_depth().max(self.detail.json_depth())
    }
}

impl JsonDepth for Candidate {
    fn json_depth(&self) -> usize {
        self.messages.json_depth().max(self.metadata.json_depth())
    }
}

impl JsonDepth for ToolOutput {
    fn json_depth(&self) -> usize {
        self.blocks.json_depth().max(self.metadata.json_depth())
    }
}

impl JsonDepth for Score {
    fn json_depth(&self) -> usize {
        self.metadata.json_depth()
    }
}

impl JsonDepth for ToolSpec {
    fn json_depth(&self) -> usize {
        self.input_schema.json_depth()
    }
}
