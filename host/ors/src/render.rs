//! What goes out, as exact compact JSON (wire contract sections 6 to 9).
//!
//! The keys of each shape are always all there and in the contract's order:
//! clients index them. Everything is written once, into the buffer that
//! leaves; the bytes of an image become base64 in that buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text::{json_list, json_or_null, json_string, string_or_null};
use orwd_model::{
    Block, EnvName, Json, Message, MessageBlock, Refusal, Reward, Score, Split, TerminalTool,
    ToolListing, ToolOutput, ToolSpec,
};

/// `[{"name","type"}]`
pub(super) fn splits(out: &mut String, splits: &[Split]) {
    json_list(out, splits, |out, split| {
        out.push_str("{\"name\":");
        json_string(out, &split.name);
        out.push_str(",\"type\":");
        json_string(out, split.kind.as_str());
        out.push('}');
    });
}

/// `{"tasks","env_name"}`
pub(super) fn tasks(out: &mut String, tasks: &[Json], env_name: &str) {
    out.push_str("{\"tasks\":");
    json_list(out, tasks, |out, task| out.push_str(task.as_str()));
    env_name_and_end(out, env_name);
}

/// `{"task","env_name"}`
pub(super) fn task(out: &mut String, task: &Json, env_name: &str) {
    out.push_str("{\"task\":");
    out.push_str(task.as_str());
    env_name_and_end(out, env_name);
}

fn env_name_and_end(out: &mut String, env_name: &str) {
    out.push_str(",\"env_name\":");
    json_string(out, env_name);
    out.push('}');
}

/// An object of one key with a string.
pub(super) fn single(out: &mut String, key: &str, value: &str) {
    out.push('{');
    json_string(out, key);
    out.push(':');
    json_string(out, value);
    out.push('}');
}

/// `{"name","limits"}`, an environment with the limits in force.
pub(super) fn environment(out: &mut String, name: &EnvName, limits: &[(&str, String)]) {
    out.push_str("{\"name\":");
    json_string(out, name.as_str());
    out.push_str(",\"limits\":{");
    for (at, (limit, amount)) in limits.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        json_string(out, limit);
        out.push(':');
        json_string(out, amount);
    }
    out.push_str("}}");
}

/// A list of strings.
pub(super) fn strings<'a>(out: &mut String, items: impl IntoIterator<Item = &'a str>) {
    json_list(out, items, json_string);
}

/// A tool listing.
pub(super) fn listing(out: &mut String, listing: &ToolListing) {
    out.push_str("{\"tools\":");
    json_list(out, &listing.tools, tool);
    out.push_str(",\"terminal_tool\":");
    match &listing.terminal {
        Some(terminal) => terminal_tool(out, terminal),
        None => out.push_str("null"),
    }
    out.push_str(",\"supports_score_group\":");
    boolean(out, listing.supports_score_group);
    out.push_str(
        ",\"message_block_types\":[\"text\",\"image\",\"reasoning\",\"tool_call\",\"tool_result\"]}",
    );
}

fn tool(out: &mut String, tool: &ToolSpec) {
    out.push_str("{\"name\":");
    json_string(out, &tool.name);
    out.push_str(",\"description\":");
    json_string(out, &tool.description);
    out.push_str(",\"input_schema\":");
    json_or_null(out, tool.input_schema.as_ref());
    out.push('}');
}

fn terminal_tool(out: &mut String, tool: &TerminalTool) {
    out.push_str("{\"name\":");
    json_string(out, &tool.name);
    out.push_str(",\"arg\":");
    string_or_null(out, tool.arg.as_deref());
    out.push_str(",\"description\":");
    json_string(out, &tool.description);
    out.push('}');
}

/// A prompt, or what a tool gave.
pub(super) fn blocks(out: &mut String, blocks: &[Block]) {
    json_list(out, blocks, block);
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Text { text, detail } => {
            out.push_str("{\"text\":");
            json_string(out, text);
            detail_and_type(out, detail.as_ref(), "text");
        }
        Block::Image {
            data,
            mime_type,
            detail,
        } => {
            out.push_str("{\"data\":\"");
            STANDARD.encode_string(data, out);
            out.push_str("\",\"mimeType\":");
            json_string(out, mime_type);
            detail_and_type(out, detail.as_ref(), "image");
        }
    }
}

fn detail_and_type(out: &mut String, detail: Option<&Json>, kind: &str) {
    out.push_str(",\"detail\":");
    json_or_null(out, detail);
    out.push_str(",\"type\":\"");
    out.push_str(kind);
    out.push_str("\"}");
}

/// A conversation.
pub(super) fn messages(out: &mut String, messages: &[Message]) {
    json_list(out, messages, |out, message| {
        out.push_str("{\"role\":");
        json_string(out, message.role.as_str());
        out.push_str(",\"blocks\":");
        json_list(out, &message.blocks, message_block);
        out.push_str(",\"detail\":");
        json_or_null(out, message.detail.as_ref());
        out.push('}');
    });
}

fn message_block(out: &mut String, item: &MessageBlock) {
    match item {
        MessageBlock::Plain(plain) => block(out, plain),
        MessageBlock::Reasoning {
            text,
            signature,
            detail,
        } => {
            out.push_str("{\"text\":");
            json_string(out, text);
            out.push_str(",\"signature\":");
            string_or_null(out, signature.as_deref());
            detail_and_type(out, detail.as_ref(), "reasoning");
        }
        MessageBlock::ToolCall {
            id,
            name,
            input,
            detail,
        } => {
            out.push_str("{\"id\":");
            json_string(out, id);
            out.push_str(",\"name\":");
            json_string(out, name);
            out.push_str(",\"input\":");
            out.push_str(input.as_str());
            detail_and_type(out, detail.as_ref(), "tool_call");
        }
        MessageBlock::ToolResult {
            tool_call_id,
            blocks: content,
            is_error,
            detail,
        } => {
            out.push_str("{\"tool_call_id\":");
            json_string(out, tool_call_id);
            out.push_str(",\"blocks\":");
            blocks(out, content);
            out.push_str(",\"is_error\":");
            boolean(out, *is_error);
            detail_and_type(out, detail.as_ref(), "tool_result");
        }
    }
}

/// A prompt as the conversation that it begins: one message of the user's.
pub(super) fn prompt_as_messages(out: &mut String, prompt: &[Block]) {
    out.push_str("[{\"role\":\"user\",\"blocks\":");
    blocks(out, prompt);
    out.push_str(",\"detail\":null}]");
}

/// What a call gave.
pub(super) fn output(out: &mut String, output: &ToolOutput) {
    out.reserve(size_hint(&output.blocks));
    out.push_str("{\"ok\":true,\"output\":{\"blocks\":");
    blocks(out, &output.blocks);
    out.push_str(",\"metadata\":");
    json_or_null(out, output.metadata.as_ref());
    out.push_str(",\"reward\":");
    match output.reward {
        Some(value) => reward(out, value),
        None => out.push_str("null"),
    }
    out.push_str(",\"finished\":");
    boolean(out, output.finished);
    out.push_str("}}");
}

/// About what blocks take, so that a large one is not moved while it is
/// written.
fn size_hint(blocks: &[Block]) -> usize {
    let content: usize = blocks
        .iter()
        .map(|block| match block {
            Block::Text { text, .. } => text.len() + text.len() / 16,
            Block::Image { data, .. } => data.len() / 3 * 4,
        })
        .sum();
    content + blocks.len() * 64 + 128
}

/// Why a call was not run.
pub(super) fn refusal(out: &mut String, refusal: &Refusal) {
    out.push_str("{\"ok\":false,\"error\":");
    json_string(out, &refusal.message);
    out.push_str(",\"reason\":");
    json_string(out, refusal.reason.as_str());
    out.push('}');
}

/// What scoring gave.
pub(super) fn scores(out: &mut String, scores: &[Score]) {
    out.push_str("{\"scores\":");
    json_list(out, scores, |out, score| {
        out.push_str("{\"reward\":");
        reward(out, score.reward);
        out.push_str(",\"metadata\":");
        json_or_null(out, score.metadata.as_ref());
        out.push('}');
    });
    out.push('}');
}

/// Always a float, in the shortest form that reads back as the same number.
fn reward(out: &mut String, reward: Reward) {
    // A finite float has a JSON form, and a reward is finite.
    out.push_str(&serde_json::Value::from(reward.get()).to_string());
}

fn boolean(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use orwd_model::{RefusalReason, Role, SplitKind};

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
        out
    }

    fn json(text: &str) -> Option<Json> {
        Some(Json::object(text.to_owned()).unwrap())
    }

    fn text(text: &str) -> Block {
        Block::Text {
            text: text.to_owned(),
            detail: None,
        }
    }

    #[test]
    fn an_output_has_all_its_keys() {
        let empty = ToolOutput {
            blocks: vec![],
            metadata: None,
            reward: None,
            finished: false,
        };
        assert_eq!(
            written(|out| output(out, &empty)),
            r#"{"ok":true,"output":{"blocks":[],"metadata":null,"reward":null,"finished":false}}"#
        );
        let full = ToolOutput {
            blocks: vec![
                Block::Image {
                    data: b"AB".to_vec(),
                    mime_type: "image/png".to_owned(),
                    detail: None,
                },
                Block::Text {
                    text: "é\n\u{2028}".to_owned(),
                    detail: json("{\"k\":1.50}"),
                },
            ],
            metadata: json("{\"n\":123456789012345678901234567890}"),
            reward: Some(Reward::new(1.0).unwrap()),
            finished: true,
        };
        assert_eq!(
            written(|out| output(out, &full)),
            "{\"ok\":true,\"output\":{\"blocks\":[\
             {\"data\":\"QUI=\",\"mimeType\":\"image/png\",\"detail\":null,\"type\":\"image\"},\
             {\"text\":\"é\\n\u{2028}\",\"detail\":{\"k\":1.50},\"type\":\"text\"}],\
             \"metadata\":{\"n\":123456789012345678901234567890},\
             \"reward\":1.0,\"finished\":true}}"
        );
    }

    #[test]
    fn rewards_are_floats() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.25, "0.25"),
            (-0.0, "-0.0"),
            (1e-7, "1e-7"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            let mut out = String::new();
            reward(&mut out, Reward::new(value).unwrap());
            assert_eq!(out, expected);
        }
        for value in [1e16, f64::MAX, f64::MIN_POSITIVE] {
            let mut out = String::new();
            reward(&mut out, Reward::new(value).unwrap());
            assert_eq!(out.parse(), Ok(value), "{out}");
            assert!(out.contains(['.', 'e']), "{out} reads as an integer");
        }
    }

    #[test]
    fn refusals_and_scores() {
        let refused = Refusal {
            reason: RefusalReason::NotFound,
            message: "'x' is not a valid tool".to_owned(),
        };
        assert_eq!(
            written(|out| refusal(out, &refused)),
            r#"{"ok":false,"error":"'x' is not a valid tool","reason":"not_found"}"#
        );
        let list = [
            Score {
                reward: Reward::new(2.0).unwrap(),
                metadata: None,
            },
            Score {
                reward: Reward::new(0.5).unwrap(),
                metadata: json("{\"id\":7}"),
            },
        ];
        assert_eq!(
            written(|out| scores(out, &list)),
            r#"{"scores":[{"reward":2.0,"metadata":null},{"reward":0.5,"metadata":{"id":7}}]}"#
        );
    }

    #[test]
    fn messages_of_every_kind() {
        let list = [
            Message {
                role: Role::Assistant,
                blocks: vec![
                    MessageBlock::Reasoning {
                        text: "hm".to_owned(),
                        signature: Some("s".to_owned()),
                        detail: None,
                    },
                    MessageBlock::ToolCall {
                        id: "c1".to_owned(),
                        name: "calc".to_owned(),
                        input: json("{\"a\":1}").unwrap(),
                        detail: None,
                    },
                ],
                detail: json("{\"turn\":1}"),
            },
            Message {
                role: Role::User,
                blocks: vec![MessageBlock::ToolResult {
                    tool_call_id: "c1".to_owned(),
                    blocks: vec![text("4")],
                    is_error: true,
                    detail: None,
                }],
                detail: None,
            },
        ];
        assert_eq!(
            written(|out| messages(out, &list)),
            "[{\"role\":\"assistant\",\"blocks\":[\
             {\"text\":\"hm\",\"signature\":\"s\",\"detail\":null,\"type\":\"reasoning\"},\
             {\"id\":\"c1\",\"name\":\"calc\",\"input\":{\"a\":1},\"detail\":null,\"type\":\"tool_call\"}],\
             \"detail\":{\"turn\":1}},\
             {\"role\":\"user\",\"blocks\":[\
             {\"tool_call_id\":\"c1\",\"blocks\":[{\"text\":\"4\",\"detail\":null,\"type\":\"text\"}],\
             \"is_error\":true,\"detail\":null,\"type\":\"tool_result\"}],\"detail\":null}]"
        );
        assert_eq!(
            written(|out| prompt_as_messages(out, &[text("a")])),
            r#"[{"role":"user","blocks":[{"text":"a","detail":null,"type":"text"}],"detail":null}]"#
        );
    }

    #[test]
    fn listings_and_catalog_answers() {
        let tools = ToolListing {
            tools: vec![
                ToolSpec {
                    name: "echo".to_owned(),
                    description: "Says \"it\".".to_owned(),
                    input_schema: json("{\"type\":\"object\"}"),
                },
                ToolSpec {
                    name: "look".to_owned(),
                    description: String::new(),
                    input_schema: None,
                },
            ],
            terminal: Some(TerminalTool {
                name: "stop".to_owned(),
                arg: None,
                description: "Ends.".to_owned(),
            }),
            supports_score_group: true,
        };
        assert_eq!(
            written(|out| listing(out, &tools)),
            "{\"tools\":[\
             {\"name\":\"echo\",\"description\":\"Says \\\"it\\\".\",\"input_schema\":{\"type\":\"object\"}},\
             {\"name\":\"look\",\"description\":\"\",\"input_schema\":null}],\
             \"terminal_tool\":{\"name\":\"stop\",\"arg\":null,\"description\":\"Ends.\"},\
             \"supports_score_group\":true,\
             \"message_block_types\":[\"text\",\"image\",\"reasoning\",\"tool_call\",\"tool_result\"]}"
        );
        let named = [Split {
            name: "hard".to_owned(),
            kind: SplitKind::Test,
        }];
        assert_eq!(
            written(|out| splits(out, &named)),
            r#"[{"name":"hard","type":"test"}]"#
        );
        let one = json("{\"id\":1}").unwrap();
        assert_eq!(
            written(|out| task(out, &one, "ALpha")),
            r#"{"task":{"id":1},"env_name":"ALpha"}"#
        );
        assert_eq!(
            written(|out| super::tasks(out, &[one.clone(), one.clone()], "a")),
            r#"{"tasks":[{"id":1},{"id":1}],"env_name":"a"}"#
        );
    }
}
