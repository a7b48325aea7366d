//! The JSON of the model on the wire (`docs/src/reference/wire-contract.md`,
//! sections 6 to 9).
//!
//! Every key of a shape is always present and in the contract's order, because
//! clients index them. Values are borrowed, so that each is written once, into
//! the buffer that is sent; image data becomes base64 in that buffer.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use orwd_model::{
    Block, Json, Message, MessageBlock, Refusal, Reward, Score, Split, TerminalTool, ToolListing,
    ToolOutput, ToolSpec,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Serialises a value of the model, or a slice of them, as the contract demands.
pub(crate) struct Wire<'a, T: ?Sized>(pub(crate) &'a T);

impl<T> Serialize for Wire<'_, [T]>
where
    for<'a> Wire<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Wire))
    }
}

/// One task of an environment, which `env_name` names as the client wrote it.
#[derive(Serialize)]
pub(crate) struct TaskBody<'a> {
    pub(crate) task: &'a Json,
    pub(crate) env_name: &'a str,
}

/// Serialises an object with these keys, in this order.
macro_rules! object {
    ($serializer:ident, { $($key:literal: $value:expr),+ $(,)? }) => {{
        let mut map = $serializer.serialize_map(None)?;
        $(map.serialize_entry($key, &$value)?;)+
        map.end()
    }};
}

/// Implements [`Wire`] for a type that has one shape.
macro_rules! wire {
    ($type:ty: |$value:ident| { $($key:literal: $field:expr),+ $(,)? }) => {
        impl Serialize for Wire<'_, $type> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self.0;
                object!(serializer, { $($key: $field),+ })
            }
        }
    };
}

wire!(Split: |split| { "name": split.name, "type": split.kind.as_str() });

wire!(ToolListing: |listing| {
    "tools": Wire(&*listing.tools),
    "terminal_tool": listing.terminal.as_ref().map(Wire),
    "supports_score_group": listing.supports_score_group,
    "message_block_types": ["text", "image", "reasoning", "tool_call", "tool_result"],
});

wire!(ToolSpec: |tool| {
    "name": tool.name,
    "description": tool.description,
    "input_schema": tool.input_schema,
});

wire!(TerminalTool: |tool| {
    "name": tool.name,
    "arg": tool.arg,
    "description": tool.description,
});

wire!(Message: |message| {
    "role": message.role.as_str(),
    "blocks": Wire(&*message.blocks),
    "detail": message.detail,
});

impl Serialize for Wire<'_, Block> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Block::Text { text, detail } => {
                object!(serializer, { "text": text, "detail": detail, "type": "text" })
            }
            Block::Image {
                data,
                mime_type,
                detail,
            } => object!(serializer, {
                "data": Base64(data),
                "mimeType": mime_type,
                "detail": detail,
                "type": "image",
            }),
        }
    }
}

impl Serialize for Wire<'_, MessageBlock> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MessageBlock::Plain(block) => Wire(block).serialize(serializer),
            MessageBlock::Reasoning {
                text,
                signature,
                detail,
            } => object!(serializer, {
                "text": text,
                "signature": signature,
                "detail": detail,
                "type": "reasoning",
            }),
            MessageBlock::ToolCall {
                id,
                name,
                input,
                detail,
            } => object!(serializer, {
                "id": id,
                "name": name,
                "input": input,
                "detail": detail,
                "type": "tool_call",
            }),
            MessageBlock::ToolResult {
                tool_call_id,
                blocks,
                is_error,
                detail,
            } => object!(serializer, {
                "tool_call_id": tool_call_id,
                "blocks": Wire(&**blocks),
                "is_error": is_error,
                "detail": detail,
                "type": "tool_result",
            }),
        }
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// The result of a call.
#[derive(Serialize)]
pub(crate) struct CallResult<'a> {
    ok: bool,
    output: Wire<'a, ToolOutput>,
}

impl CallResult<'_> {
    pub(crate) fn new(output: &ToolOutput) -> CallResult<'_> {
        CallResult {
            ok: true,
            output: Wire(output),
        }
    }
}

/// The result of a scoring.
#[derive(Serialize)]
pub(crate) struct ScoringResult<'a> {
    scores: Wire<'a, [Score]>,
}

impl ScoringResult<'_> {
    pub(crate) fn new(scores: &[Score]) -> ScoringResult<'_> {
        ScoringResult {
            scores: Wire(scores),
        }
    }
}

// A reward is always a float, in the shortest form that reads back the same.
wire!(ToolOutput: |output| {
    "blocks": Wire(&*output.blocks),
    "metadata": output.metadata,
    "reward": output.reward.map(Reward::get),
    "finished": output.finished,
});

wire!(Refusal: |refusal| {
    "ok": false,
    "error": refusal.message,
    "reason": refusal.reason.as_str(),
});

wire!(Score: |score| { "reward": score.reward.get(), "metadata": score.metadata });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::json::append_json;
    use orwd_model::{RefusalReason, Role, SplitKind};

    fn to_json(value: &impl Serialize) -> String {
        let mut out = String::new();
        append_json(&mut out, value);
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
            to_json(&CallResult::new(&empty)),
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
            to_json(&CallResult::new(&full)),
            "{\"ok\":true,\"output\":{\"blocks\":[\
             {\"data\":\"QUI=\",\"mimeType\":\"image/png\",\"detail\":null,\"type\":\"image\"},\
             {\"text\":\"é\\n\u{2028}\",\"detail\":{\"k\":1.50},\"type\":\"text\"}],\
             \"metadata\":{\"n\":123456789012345678901234567890},\
             \"reward\":1.0,\"finished\":true}}"
        );
    }

    fn reward(value: f64) -> String {
        let score = Score {
            reward: Reward::new(value).unwrap(),
            metadata: None,
        };
        let json = to_json(&Wire(&score));
        let reward = json.strip_prefix("{\"reward\":").unwrap();
        reward
            .strip_suffix(",\"metadata\":null}")
            .unwrap()
            .to_owned()
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
            let out = reward(value);
            assert_eq!(out, expected);
        }
        for value in [1e16, f64::MAX, f64::MIN_POSITIVE] {
            let out = reward(value);
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
            to_json(&Wire(&refused)),
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
            to_json(&ScoringResult::new(&list)),
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
            to_json(&Wire(&list[..])),
            "[{\"role\":\"assistant\",\"blocks\":[\
             {\"text\":\"hm\",\"signature\":\"s\",\"detail\":null,\"type\":\"reasoning\"},\
             {\"id\":\"c1\",\"name\":\"calc\",\"input\":{\"a\":1},\"detail\":null,\"type\":\"tool_call\"}],\
             \"detail\":{\"turn\":1}},\
             {\"role\":\"user\",\"blocks\":[\
             {\"tool_call_id\":\"c1\",\"blocks\":[{\"text\":\"4\",\"detail\":null,\"type\":\"text\"}],\
             \"is_error\":true,\"detail\":null,\"type\":\"tool_result\"}],\"detail\":null}]"
        );
    }

    #[test]
    fn listings_splits_and_tasks() {
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
            to_json(&Wire(&tools)),
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
            to_json(&Wire(&named[..])),
            r#"[{"name":"hard","type":"test"}]"#
        );
        let one = json("{\"id\":1}").unwrap();
        assert_eq!(
            to_json(&TaskBody {
                task: &one,
                env_name: "ALpha"
            }),
            r#"{"task":{"id":1},"env_name":"ALpha"}"#
        );
    }
}
