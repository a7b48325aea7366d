//! A conversation as a prompt, for clients that only know blocks
//! (`docs/src/reference/wire-contract.md#section-7`).
//!
//! A single plain message by the user becomes its blocks. Anything else becomes
//! text with a heading for each message and for each block that a prompt cannot
//! hold; the details of a heading repeat its content for programs.

use orwd_model::{Block, Json, Message, MessageBlock, Role};
use serde_json::json;

use super::python_repr;

/// Returns the blocks of a conversation.
pub(crate) fn flatten(messages: Vec<Message>) -> Vec<Block> {
    if let [message] = messages.as_slice()
        && message.role == Role::User
        && let Some(blocks) = plain_blocks(&message.blocks)
    {
        return blocks;
    }
    let mut out = Vec::new();
    for message in messages {
        let role = message.role.as_str();
        out.push(heading(format!("[{role}]"), &json!({ "role": role })));
        for block in message.blocks {
            flatten_block(&mut out, block);
        }
    }
    out
}

fn plain_blocks(blocks: &[MessageBlock]) -> Option<Vec<Block>> {
    blocks
        .iter()
        .map(|block| match block {
            MessageBlock::Plain(block) => Some(block.clone()),
            _ => None,
        })
        .collect()
}

fn flatten_block(out: &mut Vec<Block>, block: MessageBlock) {
    match block {
        MessageBlock::Plain(block) => out.push(block),
        MessageBlock::Reasoning { text, .. } => {
            let text = format!("<think>{text}</think>");
            out.push(heading(text, &json!({ "type": "reasoning" })));
        }
        MessageBlock::ToolCall {
            id, name, input, ..
        } => {
            let input = python_repr::spaced_json(input.as_str());
            let text = format!("[tool_call {name}] {input}");
            out.push(heading(text, &json!({ "type": "tool_call", "id": id })));
        }
        MessageBlock::ToolResult {
            tool_call_id,
            blocks,
            is_error,
            ..
        } => {
            let text = if is_error {
                "[tool_result (error)]"
            } else {
                "[tool_result]"
            };
            let detail = json!({ "type": "tool_result", "tool_call_id": tool_call_id });
            out.push(heading(text.to_owned(), &detail));
            out.extend(blocks);
        }
    }
}

/// Returns a text block whose detail is an object.
fn heading(text: String, detail: &serde_json::Value) -> Block {
    Block::Text {
        text,
        detail: Json::object(detail.to_string()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::json::append_json;
    use crate::encode::wire::Wire;

    fn text(text: &str) -> Block {
        Block::Text {
            text: text.to_owned(),
            detail: None,
        }
    }

    fn message(role: Role, blocks: Vec<MessageBlock>) -> Message {
        Message {
            role,
            blocks,
            detail: Json::object("{\"turn\":1}".to_owned()).ok(),
        }
    }

    #[test]
    fn one_plain_message_by_the_user_becomes_its_blocks() {
        let blocks = vec![MessageBlock::Plain(text("only"))];
        assert_eq!(
            flatten(vec![message(Role::User, blocks)]),
            vec![text("only")]
        );
        assert_eq!(flatten(vec![]), vec![]);
    }

    #[test]
    fn any_other_conversation_gets_headings() {
        let conversation = vec![
            message(Role::System, vec![MessageBlock::Plain(text("be brief"))]),
            message(
                Role::Assistant,
                vec![
                    MessageBlock::Reasoning {
                        text: "use the tool".to_owned(),
                        signature: Some("sig".to_owned()),
                        detail: None,
                    },
                    MessageBlock::ToolCall {
                        id: "c1".to_owned(),
                        name: "calc".to_owned(),
                        input: Json::object("{\"expr\":\"2+é\",\"n\":[1,2]}".to_owned()).unwrap(),
                        detail: None,
                    },
                ],
            ),
            message(
                Role::User,
                vec![
                    MessageBlock::ToolResult {
                        tool_call_id: "c1".to_owned(),
                        blocks: vec![text("4")],
                        is_error: false,
                        detail: None,
                    },
                    MessageBlock::ToolResult {
                        tool_call_id: "c\"2".to_owned(),
                        blocks: vec![],
                        is_error: true,
                        detail: None,
                    },
                ],
            ),
        ];
        let mut out = String::new();
        append_json(&mut out, &Wire(&*flatten(conversation)));
        let expected = [
            r#"{"text":"[system]","detail":{"role":"system"},"type":"text"}"#,
            r#"{"text":"be brief","detail":null,"type":"text"}"#,
            r#"{"text":"[assistant]","detail":{"role":"assistant"},"type":"text"}"#,
            r#"{"text":"<think>use the tool</think>","detail":{"type":"reasoning"},"type":"text"}"#,
            r#"{"text":"[tool_call calc] {\"expr\": \"2+\\u00e9\", \"n\": [1, 2]}","detail":{"type":"tool_call","id":"c1"},"type":"text"}"#,
            r#"{"text":"[user]","detail":{"role":"user"},"type":"text"}"#,
            r#"{"text":"[tool_result]","detail":{"type":"tool_result","tool_call_id":"c1"},"type":"text"}"#,
            r#"{"text":"4","detail":null,"type":"text"}"#,
            r#"{"text":"[tool_result (error)]","detail":{"type":"tool_result","tool_call_id":"c\"2"},"type":"text"}"#,
        ];
        assert_eq!(out, format!("[{}]", expected.join(",")));
    }
}
