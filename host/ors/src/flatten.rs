//! A conversation as a prompt, for clients that know blocks alone (wire
//! contract section 7).
//!
//! A single plain message of the user's is its blocks. Anything else becomes
//! text with a heading for each message and each thing that is no block; what
//! the headings say is repeated in their details, for programs.

use super::python;
use super::text::json_string;
use orwd_model::{Block, Json, Message, MessageBlock, Role};

/// The blocks of a conversation.
pub(super) fn flatten(messages: Vec<Message>) -> Vec<Block> {
    if let [message] = messages.as_slice()
        && message.role == Role::User
        && let Some(blocks) = plain(&message.blocks)
    {
        return blocks;
    }
    let mut out = Vec::new();
    for message in messages {
        let role = message.role.as_str();
        out.push(heading(format!("[{role}]"), &[("role", role)]));
        for block in message.blocks {
            flatten_block(&mut out, block);
        }
    }
    out
}

fn plain(blocks: &[MessageBlock]) -> Option<Vec<Block>> {
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
            out.push(heading(text, &[("type", "reasoning")]));
        }
        MessageBlock::ToolCall {
            id, name, input, ..
        } => {
            let input = python::spaced_json(input.as_str());
            let text = format!("[tool_call {name}] {input}");
            out.push(heading(text, &[("type", "tool_call"), ("id", &id)]));
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
            let detail = [("type", "tool_result"), ("tool_call_id", &*tool_call_id)];
            out.push(heading(text.to_owned(), &detail));
            out.extend(blocks);
        }
    }
}

/// A text block with a detail of strings.
fn heading(text: String, detail: &[(&str, &str)]) -> Block {
    let mut object = String::from("{");
    for (at, (key, value)) in detail.iter().enumerate() {
        if at > 0 {
            object.push(',');
        }
        json_string(&mut object, key);
        object.push(':');
        json_string(&mut object, value);
    }
    object.push('}');
    Block::Text {
        text,
        // It is an object by construction; without it the text still says all.
        detail: Json::object(object).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::*;

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
    fn one_plain_message_of_the_user_is_its_blocks() {
        let blocks = vec![MessageBlock::Plain(text("only"))];
        assert_eq!(
            flatten(vec![message(Role::User, blocks)]),
            vec![text("only")]
        );
        assert_eq!(flatten(vec![]), vec![]);
    }

    #[test]
    fn anything_else_gets_headings() {
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
        render::blocks(&mut out, &flatten(conversation));
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
