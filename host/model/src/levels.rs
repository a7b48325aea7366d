//! How deep JSON is nested: what the limit on levels is held against.

use super::{Block, Candidate, Json, Message, MessageBlock, Score, ToolOutput, ToolSpec};

/// Something that holds JSON that orwd does not own.
pub trait Levels {
    /// The levels of the deepest JSON object in it; none is 0.
    fn levels(&self) -> usize;
}

impl<T: Levels> Levels for [T] {
    fn levels(&self) -> usize {
        self.iter().map(Levels::levels).max().unwrap_or_default()
    }
}

impl<T: Levels> Levels for Vec<T> {
    fn levels(&self) -> usize {
        self.as_slice().levels()
    }
}

impl<T: Levels> Levels for Option<T> {
    fn levels(&self) -> usize {
        self.as_ref().map_or(0, Levels::levels)
    }
}

impl Levels for Json {
    fn levels(&self) -> usize {
        Json::levels(self)
    }
}

impl Levels for Block {
    fn levels(&self) -> usize {
        match self {
            Block::Text { detail, .. } | Block::Image { detail, .. } => detail.levels(),
        }
    }
}

impl Levels for MessageBlock {
    fn levels(&self) -> usize {
        match self {
            MessageBlock::Plain(block) => block.levels(),
            MessageBlock::Reasoning { detail, .. } => detail.levels(),
            MessageBlock::ToolCall { input, detail, .. } => input.levels().max(detail.levels()),
            MessageBlock::ToolResult { blocks, detail, .. } => blocks.levels().max(detail.levels()),
        }
    }
}

impl Levels for Message {
    fn levels(&self) -> usize {
        self.blocks.levels().max(self.detail.levels())
    }
}

impl Levels for Candidate {
    fn levels(&self) -> usize {
        self.messages.levels().max(self.metadata.levels())
    }
}

impl Levels for ToolOutput {
    fn levels(&self) -> usize {
        self.blocks.levels().max(self.metadata.levels())
    }
}

impl Levels for Score {
    fn levels(&self) -> usize {
        self.metadata.levels()
    }
}

impl Levels for ToolSpec {
    fn levels(&self) -> usize {
        self.input_schema.levels()
    }
}
