//! The conversations that a client wants scored (wire contract sections 7
//! and 9).
//!
//! The same shapes as messages on their way out, read strictly: undeclared
//! fields are problems at every level, and a message holds only what its role
//! allows. A block without `type` is read by the fields that it has.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use super::fields::{Reader, boolean, list, object, string};
use super::problems::{Loc, Mistake, Problems};
use orwd_model::{Block, Candidate, Message, MessageBlock, Role};

/// One candidate.
pub(super) fn candidate(
    raw: &RawValue,
    loc: &Loc<'_>,
    problems: &mut Problems,
) -> Option<Candidate> {
    let mut reader = Reader::open(raw, *loc, problems)?;
    let messages = reader.required("messages", |raw, loc, problems| {
        list(raw, loc, problems, message)
    });
    let metadata = reader.optional("metadata", object);
    reader.finish();
    Some(Candidate {
        messages: messages?,
        metadata: metadata?,
    })
}

fn message(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Message> {
    let mut reader = Reader::open(raw, *loc, problems)?;
    let role = reader.required("role", role);
    let blocks = reader.required("blocks", |raw, loc, problems| {
        list(raw, loc, problems, message_block)
    });
    let detail = reader.optional("detail", object);
    let (whole, problems) = reader.finish();
    let (role, blocks, detail) = (role?, blocks?, detail?);
    if let Some(block) = blocks.iter().find(|block| !role.allows(block)) {
        let kind = Kind::of(block).name();
        let rule = format!("a {kind} block has no place in a {} message", role.as_str());
        problems.push(&Mistake::Value(rule.into()), loc, whole);
        return None;
    }
    Some(Message {
        role,
        blocks,
        detail,
    })
}

fn role(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Role> {
    let named = serde_json::from_str::<String>(raw.get()).ok();
    let role = [Role::System, Role::User, Role::Assistant]
        .into_iter()
        .find(|role| named.as_deref() == Some(role.as_str()));
    if role.is_none() {
        let mistake = Mistake::Literal("'system', 'user' or 'assistant'");
        problems.push(&mistake, loc, raw.get());
    }
    role
}

/// The kinds of block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Image,
    Reasoning,
    ToolCall,
    ToolResult,
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Text,
        Kind::Image,
        Kind::Reasoning,
        Kind::ToolCall,
        Kind::ToolResult,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Image => "image",
            Kind::Reasoning => "reasoning",
            Kind::ToolCall => "tool_call",
            Kind::ToolResult => "tool_result",
        }
    }

    fn of(block: &MessageBlock) -> Kind {
        match block {
            MessageBlock::Plain(Block::Text { .. }) => Kind::Text,
            MessageBlock::Plain(Block::Image { .. }) => Kind::Image,
            MessageBlock::Reasoning { .. } => Kind::Reasoning,
            MessageBlock::ToolCall { .. } => Kind::ToolCall,
            MessageBlock::ToolResult { .. } => Kind::ToolResult,
        }
    }

    /// The kind of a block that does not say: only one has these fields.
    fn by_shape(reader: &Reader<'_, '_>) -> Kind {
        if reader.has("data") || reader.has("mimeType") {
            Kind::Image
        } else if reader.has("tool_call_id") {
            Kind::ToolResult
        } else if reader.has("name") || reader.has("input") {
            Kind::ToolCall
        } else if reader.has("signature") {
            Kind::Reasoning
        } else {
            Kind::Text
        }
    }
}

/// Takes the kind of a block out of its fields; `None` if `type` says what is
/// no kind, or none that may be here.
fn kind(reader: &mut Reader<'_, '_>, plain: bool) -> Option<Kind> {
    let by_shape = Kind::by_shape(reader);
    let allowed = |kind: &Kind| !plain || matches!(kind, Kind::Text | Kind::Image);
    let default = Some(by_shape).filter(allowed).unwrap_or(Kind::Text);
    reader.or_default("type", default, |raw, loc, problems| {
        let named = serde_json::from_str::<String>(raw.get()).ok();
        let kind = Kind::ALL
            .into_iter()
            .filter(allowed)
            .find(|kind| named.as_deref() == Some(kind.name()));
        if kind.is_none() {
            let mistake = Mistake::Literal(if plain {
                "'text' or 'image'"
            } else {
                "'text', 'image', 'reasoning', 'tool_call' or 'tool_result'"
            });
            problems.push(&mistake, loc, raw.get());
        }
        kind
    })
}

fn message_block(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<MessageBlock> {
    let mut reader = Reader::open(raw, *loc, problems)?;
    match kind(&mut reader, false)? {
        Kind::Text => text(reader).map(MessageBlock::Plain),
        Kind::Image => image(reader).map(MessageBlock::Plain),
        Kind::Reasoning => {
            let text = reader.required("text", string);
            let signature = reader.optional("signature", string);
            let detail = reader.optional("detail", object);
            reader.finish();
            Some(MessageBlock::Reasoning {
                text: text?,
                signature: signature?,
                detail: detail?,
            })
        }
        Kind::ToolCall => {
            let id = reader.required("id", string);
            let name = reader.required("name", string);
            let input = reader.required("input", object);
            let detail = reader.optional("detail", object);
            reader.finish();
            Some(MessageBlock::ToolCall {
                id: id?,
                name: name?,
                input: input?,
                detail: detail?,
            })
        }
        Kind::ToolResult => {
            let tool_call_id = reader.required("tool_call_id", string);
            let blocks = reader.required("blocks", |raw, loc, problems| {
                list(raw, loc, problems, plain_block)
            });
            let is_error = reader.or_default("is_error", false, boolean);
            let detail = reader.optional("detail", object);
            reader.finish();
            Some(MessageBlock::ToolResult {
                tool_call_id: tool_call_id?,
                blocks: blocks?,
                is_error: is_error?,
                detail: detail?,
            })
        }
    }
}

/// A block of a tool's result.
fn plain_block(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Block> {
    let mut reader = Reader::open(raw, *loc, problems)?;
    match kind(&mut reader, true)? {
        Kind::Image => image(reader),
        _ => text(reader),
    }
}

fn text(mut reader: Reader<'_, '_>) -> Option<Block> {
    let text = reader.required("text", string);
    let detail = reader.optional("detail", object);
    reader.finish();
    Some(Block::Text {
        text: text?,
        detail: detail?,
    })
}

fn image(mut reader: Reader<'_, '_>) -> Option<Block> {
    let data = reader.required("data", bytes);
    let mime_type = reader.required("mimeType", string);
    let detail = reader.optional("detail", object);
    reader.finish();
    Some(Block::Image {
        data: data?,
        mime_type: mime_type?,
        detail: detail?,
    })
}

/// Base64 with or without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn bytes(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    let text = string(raw, loc, problems)?;
    let data = LENIENT.decode(text.as_bytes()).ok();
    if data.is_none() {
        let mistake = Mistake::Value("image data must be base64".into());
        problems.push(&mistake, loc, raw.get());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Candidate, Vec<String>> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let mut problems = Problems::new();
        let candidates = Loc::BODY.key("candidates");
        let read = candidate(raw, &candidates.index(0), &mut problems);
        problems.or(read).map_err(|problems| {
            let list: Vec<serde_json::Value> = serde_json::from_str(&problems.to_json()).unwrap();
            list.iter()
                .map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]))
                .collect()
        })
    }

    fn message(role: &str, block: &str) -> String {
        format!(r#"{{"messages":[{{"role":"{role}","blocks":[{block}]}}]}}"#)
    }

    #[test]
    fn every_kind_of_block_is_read_with_and_without_its_type() {
        for (role, typed, bare) in [
            ("system", r#"{"type":"text","text":"a"}"#, r#"{"text":"a"}"#),
            (
                "user",
                r#"{"type":"image","data":"QUI=","mimeType":"image/png"}"#,
                r#"{"data":"QUI","mimeType":"image/png","detail":null}"#,
            ),
            (
                "assistant",
                r#"{"type":"reasoning","text":"hm","signature":"s"}"#,
                r#"{"text":"hm","signature":"s"}"#,
            ),
            (
                "assistant",
                r#"{"type":"tool_call","id":"1","name":"n","input":{"a":1}}"#,
                r#"{"id":"1","name":"n","input":{"a":1}}"#,
            ),
            (
                "user",
                r#"{"type":"tool_result","tool_call_id":"1","blocks":[{"type":"text","text":"x"}]}"#,
                r#"{"tool_call_id":"1","blocks":[{"text":"x"}],"is_error":false}"#,
            ),
        ] {
            let typed = read(&message(role, typed)).unwrap();
            let bare = read(&message(role, bare)).unwrap();
            assert_eq!(typed, bare);
            assert_eq!(typed.messages[0].blocks.len(), 1);
        }
    }

    #[test]
    fn problems_are_told_where_they_are() {
        const BLOCK: &str = r#"["body","candidates",0,"messages",0,"blocks",0"#;
        for (text, expected) in [
            (
                "3".to_owned(),
                r#"model_attributes_type ["body","candidates",0]"#.to_owned(),
            ),
            (
                r#"{"messages":[],"x":1}"#.to_owned(),
                r#"extra_forbidden ["body","candidates",0,"x"]"#.to_owned(),
            ),
            (
                r#"{"messages":{}}"#.to_owned(),
                r#"list_type ["body","candidates",0,"messages"]"#.to_owned(),
            ),
            (
                message("tool", ""),
                r#"literal_error ["body","candidates",0,"messages",0,"role"]"#.to_owned(),
            ),
            (
                message("user", r#"{"type":"reasoning","text":"a"}"#),
                r#"value_error ["body","candidates",0,"messages",0]"#.to_owned(),
            ),
            (
                message("assistant", r#"{"tool_call_id":"a","blocks":[]}"#),
                r#"value_error ["body","candidates",0,"messages",0]"#.to_owned(),
            ),
            (
                message("system", r#"{"id":"a","name":"b","input":{}}"#),
                r#"value_error ["body","candidates",0,"messages",0]"#.to_owned(),
            ),
            (
                message("user", r#"{"type":"video","text":"a"}"#),
                format!("literal_error {BLOCK},\"type\"]"),
            ),
            (
                message("user", r#"{"text":"a","y":2}"#),
                format!("extra_forbidden {BLOCK},\"y\"]"),
            ),
            (
                message("user", r#"{"data":"?","mimeType":"image/png"}"#),
                format!("value_error {BLOCK},\"data\"]"),
            ),
            (
                message(
                    "user",
                    r#"{"tool_call_id":"a","blocks":[{"type":"reasoning"}]}"#,
                ),
                format!("literal_error {BLOCK},\"blocks\",0,\"type\"]"),
            ),
            (
                message(
                    "user",
                    r#"{"tool_call_id":"a","blocks":[],"is_error":null}"#,
                ),
                format!("bool_type {BLOCK},\"is_error\"]"),
            ),
        ] {
            assert_eq!(read(&text), Err(vec![expected]), "{text}");
        }
    }
}
