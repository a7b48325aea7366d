//! Size of values in memory, by which they are charged to a budget.

use super::block::{Block, Candidate, Message, MessageBlock};
use super::json::Json;
use crate::environment::ToolSpec;
use crate::outcome::{Fault, Refusal, RunOutcome, Score, ToolOutput};

/// A value that owns memory beside its own.
pub trait HeapSize {
    /// Returns the bytes that the value owns, without its own size.
    fn heap_size(&self) -> usize;
}

/// Implements [`HeapSize`] as the sum over the fields that own memory.
macro_rules! heap_size {
    ($($type:ty: $($field:ident)+;)+) => {
        $(impl HeapSize for $type {
            fn heap_size(&self) -> usize {
                0 $(+ self.$field.heap_size())+
            }
        })+
    };
}

impl HeapSize for String {
    fn heap_size(&self) -> usize {
        self.capacity()
    }
}

impl HeapSize for Json {
    fn heap_size(&self) -> usize {
        self.as_str().len()
    }
}

impl<T: HeapSize> HeapSize for Option<T> {
    fn heap_size(&self) -> usize {
        self.as_ref().map_or(0, HeapSize::heap_size)
    }
}

impl<T: HeapSize> HeapSize for Vec<T> {
    fn heap_size(&self) -> usize {
        let values: usize = self.iter().map(HeapSize::heap_size).sum();
        self.capacity() * size_of::<T>() + values
    }
}

impl HeapSize for Block {
    fn heap_size(&self) -> usize {
        match self {
            Block::Text { text, detail } => text.heap_size() + detail.heap_size(),
            Block::Image {
                data,
                mime_type,
                detail,
            } => data.capacity() + mime_type.heap_size() + detail.heap_size(),
        }
    }
}

impl HeapSize for MessageBlock {
    fn heap_size(&self) -> usize {
        match self {
            MessageBlock::Plain(block) => block.heap_size(),
            MessageBlock::Reasoning {
                text,
                signature,
                detail,
            } => text.heap_size() + signature.heap_size() + detail.heap_size(),
            MessageBlock::ToolCall {
                id,
                name,
                input,
                detail,
            } => id.heap_size() + name.heap_size() + input.heap_size() + detail.heap_size(),
            MessageBlock::ToolResult {
                tool_call_id,
                blocks,
                detail,
                ..
            } => tool_call_id.heap_size() + blocks.heap_size() + detail.heap_size(),
        }
    }
}

heap_size! {
    Message: blocks detail;
    Candidate: messages metadata;
    ToolOutput: blocks metadata;
    Score: metadata;
    Refusal: message;
    Fault: message stderr_tail;
    ToolSpec: name description input_schema;
}

impl HeapSize for RunOutcome {
    fn heap_size(&self) -> usize {
        match self {
            RunOutcome::Output(output) => output.heap_size(),
            RunOutcome::Scores(scores) => scores.heap_size(),
            RunOutcome::Refused(refusal) => refusal.heap_size(),
            RunOutcome::Failed(message) => message.heap_size(),
            RunOutcome::Faulted(fault) => fault.heap_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_in_a_list_have_a_size() {
        let empty = Block::Text {
            text: String::new(),
            detail: None,
        };
        let output = ToolOutput {
            blocks: vec![empty; 1000],
            metadata: None,
            reward: None,
            finished: false,
        };
        assert!(output.heap_size() >= 1000 * size_of::<Block>());
    }

    #[test]
    fn every_text_of_a_value_counts() {
        let long = || "x".repeat(1000);
        let json = || Json::object(format!("{{\"a\":\"{}\"}}", long())).ok();
        let image = Block::Image {
            data: vec![0; 1000],
            mime_type: long(),
            detail: json(),
        };
        assert!(image.heap_size() >= 3000);
        let call = MessageBlock::ToolCall {
            id: long(),
            name: long(),
            input: json().unwrap(),
            detail: json(),
        };
        let result = MessageBlock::ToolResult {
            tool_call_id: long(),
            blocks: vec![image],
            is_error: false,
            detail: json(),
        };
        let reasoning = MessageBlock::Reasoning {
            text: long(),
            signature: Some(long()),
            detail: json(),
        };
        let message = Message {
            role: crate::Role::User,
            blocks: vec![call, result, reasoning],
            detail: json(),
        };
        let candidate = Candidate {
            messages: vec![message],
            metadata: json(),
        };
        assert!(candidate.heap_size() >= 14_000);
    }
}
