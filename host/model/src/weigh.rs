//! How large a result is: what limits on results are held against.

use super::{Block, Json, Message, MessageBlock, RunOutcome, Score, ToolOutput, ToolSpec};

/// Bytes that a result takes up, roughly as on the wire.
pub trait Weigh {
    /// The bytes.
    fn weight(&self) -> usize;
}

impl<T: Weigh> Weigh for Vec<T> {
    fn weight(&self) -> usize {
        self.iter().map(Weigh::weight).sum()
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, Weigh::weight)
    }
}

impl Weigh for Json {
    fn weight(&self) -> usize {
        self.as_str().len()
    }
}

impl Weigh for Block {
    fn weight(&self) -> usize {
        match self {
            Block::Text { text, detail } => text.len() + detail.weight(),
            // Base64.
            Block::Image { data, detail, .. } => data.len() / 3 * 4 + detail.weight(),
        }
    }
}

impl Weigh for MessageBlock {
    fn weight(&self) -> usize {
        match self {
            MessageBlock::Plain(block) => block.weight(),
            MessageBlock::Reasoning { text, detail, .. } => text.len() + detail.weight(),
            MessageBlock::ToolCall { input, detail, .. } => input.weight() + detail.weight(),
            MessageBlock::ToolResult { blocks, detail, .. } => blocks.weight() + detail.weight(),
        }
    }
}

impl Weigh for Message {
    fn weight(&self) -> usize {
        self.blocks.weight() + self.detail.weight()
    }
}

impl Weigh for ToolOutput {
    fn weight(&self) -> usize {
        self.blocks.weight() + self.metadata.weight()
    }
}

impl Weigh for Score {
    fn weight(&self) -> usize {
        size_of::<f64>() + self.metadata.weight()
    }
}

impl Weigh for ToolSpec {
    fn weight(&self) -> usize {
        self.name.len() + self.description.len() + self.input_schema.weight()
    }
}

impl Weigh for RunOutcome {
    fn weight(&self) -> usize {
        match self {
            RunOutcome::Output(output) => output.weight(),
            RunOutcome::Scores(scores) => scores.weight(),
            RunOutcome::Refused(refusal) => refusal.message.len(),
            RunOutcome::Failed(message) => message.len(),
            RunOutcome::Faulted(fault) => {
                fault.message.len() + fault.words.as_ref().map_or(0, String::len)
            }
        }
    }
}
