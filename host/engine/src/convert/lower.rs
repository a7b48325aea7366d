//! Lowers values of the model into values of the guest.

use std::mem;
use std::ops::Deref;

use orwd_bindings::orwd::environment::types as wit;
use zeroize::Zeroize;

use orwd_model::{Block, Candidate, Json, Message, MessageBlock, PLACEHOLDER_END, Role, Secrets};

fn text(json: Json) -> String {
    json.as_str().to_owned()
}

/// Secrets in the guest's types; zeroized on drop.
pub(crate) struct LoweredSecrets(Vec<wit::Secret>);

impl Deref for LoweredSecrets {
    type Target = [wit::Secret];

    fn deref(&self) -> &[wit::Secret] {
        &self.0
    }
}

impl Drop for LoweredSecrets {
    fn drop(&mut self) {
        for secret in &mut self.0 {
            secret.value.zeroize();
        }
    }
}

pub(crate) fn secrets(secrets: Secrets) -> LoweredSecrets {
    let lowered = secrets.into_inner().into_iter().map(|secret| wit::Secret {
        name: secret.name.clone(),
        // Moved, not copied.
        value: mem::take(&mut *secret.into_value()),
    });
    LoweredSecrets(lowered.collect())
}

/// Returns placeholders in place of the values.
pub(crate) fn placeholders(secrets: &Secrets) -> LoweredSecrets {
    let start = secrets.placeholder_start().unwrap_or_default();
    let lowered = secrets.iter().map(|secret| wit::Secret {
        name: secret.name.clone(),
        value: format!("{start}{}{PLACEHOLDER_END}", secret.name),
    });
    LoweredSecrets(lowered.collect())
}

pub(crate) fn candidates(candidates: Vec<Candidate>) -> Vec<wit::Candidate> {
    candidates
        .into_iter()
        .map(|candidate| wit::Candidate {
            messages: candidate.messages.into_iter().map(message).collect(),
            metadata: candidate.metadata.map(text),
        })
        .collect()
}

fn message(message: Message) -> wit::Message {
    wit::Message {
        role: match message.role {
            Role::System => wit::Role::System,
            Role::User => wit::Role::User,
            Role::Assistant => wit::Role::Assistant,
        },
        blocks: message.blocks.into_iter().map(message_block).collect(),
        detail: message.detail.map(text),
    }
}

fn message_block(part: MessageBlock) -> wit::MessageBlock {
    match part {
        MessageBlock::Plain(plain) => match block(plain) {
            wit::Block::Text(text) => wit::MessageBlock::Text(text),
            wit::Block::Image(image) => wit::MessageBlock::Image(image),
        },
        MessageBlock::Reasoning {
            text: thought,
            signature,
            detail,
        } => wit::MessageBlock::Reasoning(wit::ReasoningBlock {
            text: thought,
            signature,
            detail: detail.map(text),
        }),
        MessageBlock::ToolCall {
            id,
            name,
            input,
            detail,
        } => wit::MessageBlock::ToolCall(wit::ToolCallBlock {
            id,
            name,
            input: text(input),
            detail: detail.map(text),
        }),
        MessageBlock::ToolResult {
            tool_call_id,
            blocks,
            is_error,
            detail,
        } => wit::MessageBlock::ToolResult(wit::ToolResultBlock {
            tool_call_id,
            blocks: blocks.into_iter().map(block).collect(),
            is_error,
            detail: detail.map(text),
        }),
    }
}

fn block(block: Block) -> wit::Block {
    match block {
        Block::Text {
            text: value,
            detail,
        } => wit::Block::Text(wit::TextBlock {
            text: value,
            detail: detail.map(text),
        }),
        Block::Image {
            data,
            mime_type,
            detail,
        } => wit::Block::Image(wit::ImageBlock {
            data,
            mime_type,
            detail: detail.map(text),
        }),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use orwd_model::Secret;

    #[test]
    fn the_value_of_a_secret_is_moved_and_not_copied() {
        let value = Zeroizing::new("a value that is wiped where it is".to_owned());
        let place = value.as_ptr();
        let given = Secrets::new(vec![Secret::new("K".to_owned(), value)]);
        let handed = secrets(given);
        let [secret] = &*handed else {
            panic!("not one secret");
        };
        assert_eq!((&*secret.name, secret.value.as_ptr()), ("K", place));
    }
}
