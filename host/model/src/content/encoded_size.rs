//! Encoded size of results, which the limits on results bound.

use super::block::{Block, Message, MessageBlock};
use super::json::Json;
use crate::environment::ToolSpec;
use crate::outcome::{RunOutcome, Score, ToolOutput};

/// A value with an approximate size on the wire.
pub trait EncodedSize {
    /// Returns the size in bytes.
    fn encoded_size(&self) -> usize;
}

impl<T: EncodedSize> EncodedSize for Vec<T> {
    fn encoded_size(&self) -> usize {
        self.iter().map(EncodedSize::encoded_size).sum()
    }
}

impl<T: EncodedSize> EncodedSize for Option<T> {
    fn encoded_size(&self) -> usize {
        self.as_ref().map_or(0, EncodedSize::encoded_size)
    }
}

impl EncodedSize for Json {
    fn encoded_size(&self) -> usize {
        self.as_str().len()
    }
}

impl EncodedSize for Block {
    fn encoded_size(&self) -> usize {
        match self {
            Block::Text { text, detail } => text.len() + detail.encoded_size(),
            // Images are base64 on the wire.
            Block::Image { data, detail, .. } => data.len() / 3 * 4 + detail.encoded_size(),
        }
    }
}

impl EncodedSize for MessageBlock {
    fn encoded_size(&self) -> usize {
        match self {
            MessageBlock::Plain(block) => block.encoded_size(),
            MessageBlock::Reasoning { text, detail, .. } => text.len() + detail.encoded_size(),
            MessageBlock::ToolCall { input, detail, .. } => {
                input.encoded_size() + detail.encoded_size()
            }
            MessageBlock::ToolResult { blocks, detail, .. } => {
                blocks.encoded_size() + detail.encoded_size()
            }
        }
    }
}

impl EncodedSize for Message {
    fn encoded_size(&self) -> usize {
        self.blocks.encoded_size() + self.detail.encoded_size()
    }
}

impl EncodedSize for ToolOutput {
    fn encoded_size(&self) -> usize {
        self.blocks.encoded_size() + self.metadata.encoded_size()
    }
}

impl EncodedSize for Score {
    fn encoded_size(&self) -> usize {
        size_of::<f64>() + self.metadata.encoded_size()
    }
}

impl EncodedSize for ToolSpec {
    fn encoded_size(&self) -> usize {
        self.name.len() + self.description.len() + self.input_schema.encoded_size()
    }
}

impl EncodedSize for RunOutcome {
    fn encoded_size(&self) -> usize {
        match self {
            RunOutcome::Output(output) => output.encoded_size(),
            RunOutcome::Scores(scores) => scores.encoded_size(),
            RunOutcome::Refused(refusal) => refusal.message.len(),
            RunOutcome::Failed(message) => message.len(),
            RunOutcome::Faulted(fault) => {
                fault.message.len() + fault.stderr_tail.as_ref().map_or(0, String::len)
            }
        }
    }
}
