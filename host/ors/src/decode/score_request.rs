//! The candidates of a `/score_group` request
//! (`docs/src/reference/wire-contract.md`, sections 7 and 9).
//!
//! Reads the shapes in which messages are sent, but strictly: undeclared fields
//! are errors at every level, and a message holds only blocks that its role
//! allows. A block without `type` is recognised by its fields.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use orwd_model::{Block, Candidate, Message, MessageBlock, Role};

use super::field_value::FieldValue;
use super::object_reader::ObjectReader;
use super::scalars::{boolean, list, object, string};
use super::validation_error::ValidationError;

/// Reads one candidate.
pub(crate) fn candidate(value: FieldValue<'_, '_>) -> Option<Candidate> {
    let mut reader = ObjectReader::open(value)?;
    let messages = reader.required("messages", |value| list(value, message));
    let metadata = reader.optional("metadata", object);
    reader.finish();
    Some(Candidate {
        messages: messages?,
        metadata: metadata?,
    })
}

fn message(value: FieldValue<'_, '_>) -> Option<Message> {
    let location = value.location;
    let mut reader = ObjectReader::open(value)?;
    let role = reader.required("role", role);
    let blocks = reader.required("blocks", |value| list(value, message_block));
    let detail = reader.optional("detail", object);
    let (source, errors) = reader.finish();
    let (role, blocks, detail) = (role?, blocks?, detail?);
    if let Some(block) = blocks.iter().find(|block| !role.allows(block)) {
        let block_type = BlockType::of(block).name();
        let rule = format!(
            "a {block_type} block has no place in a {} message",
            role.as_str()
        );
        errors.push(&ValidationError::Value(rule.into()), location, source);
        return None;
    }
    Some(Message {
        role,
        blocks,
        detail,
    })
}

fn role(value: FieldValue<'_, '_>) -> Option<Role> {
    let name = serde_json::from_str::<String>(value.text()).ok();
    let role = [Role::System, Role::User, Role::Assistant]
        .into_iter()
        .find(|role| name.as_deref() == Some(role.as_str()));
    role.or_else(|| value.fail(&ValidationError::Literal("'system', 'user' or 'assistant'")))
}

/// The types of block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BlockType {
    Text,
    Image,
    Reasoning,
    ToolCall,
    ToolResult,
}

impl BlockType {
    const ALL: [BlockType; 5] = [
        BlockType::Text,
        BlockType::Image,
        BlockType::Reasoning,
        BlockType::ToolCall,
        BlockType::ToolResult,
    ];

    fn name(self) -> &'static str {
        match self {
            BlockType::Text => "text",
            BlockType::Image => "image",
            BlockType::Reasoning => "reasoning",
            BlockType::ToolCall => "tool_call",
            BlockType::ToolResult => "tool_result",
        }
    }

    fn of(block: &MessageBlock) -> BlockType {
        match block {
            MessageBlock::Plain(Block::Text { .. }) => BlockType::Text,
            MessageBlock::Plain(Block::Image { .. }) => BlockType::Image,
            MessageBlock::Reasoning { .. } => BlockType::Reasoning,
            MessageBlock::ToolCall { .. } => BlockType::ToolCall,
            MessageBlock::ToolResult { .. } => BlockType::ToolResult,
        }
    }

    /// Infers the type of a block from its fields, which only that type has.
    fn from_fields(reader: &ObjectReader<'_, '_>) -> BlockType {
        if reader.has("data") || reader.has("mimeType") {
            BlockType::Image
        } else if reader.has("tool_call_id") {
            BlockType::ToolResult
        } else if reader.has("name") || reader.has("input") {
            BlockType::ToolCall
        } else if reader.has("signature") {
            BlockType::Reasoning
        } else {
            BlockType::Text
        }
    }
}

/// Reads the type of a block; `None` if `type` names none, or one that is not
/// allowed where only plain blocks are.
fn block_type(reader: &mut ObjectReader<'_, '_>, plain_only: bool) -> Option<BlockType> {
    let inferred = BlockType::from_fields(reader);
    let allowed = |block_type: &BlockType| {
        !plain_only || matches!(block_type, BlockType::Text | BlockType::Image)
    };
    let default = Some(inferred).filter(allowed).unwrap_or(BlockType::Text);
    reader.or_default("type", default, |value| {
        let name = serde_json::from_str::<String>(value.text()).ok();
        let block_type = BlockType::ALL
            .into_iter()
            .filter(allowed)
            .find(|block_type| name.as_deref() == Some(block_type.name()));
        block_type.or_else(|| {
            value.fail(&ValidationError::Literal(if plain_only {
                "'text' or 'image'"
            } else {
                "'text', 'image', 'reasoning', 'tool_call' or 'tool_result'"
            }))
        })
    })
}

fn message_block(value: FieldValue<'_, '_>) -> Option<MessageBlock> {
    let mut reader = ObjectReader::open(value)?;
    match block_type(&mut reader, false)? {
        BlockType::Text => text_block(reader).map(MessageBlock::Plain),
        BlockType::Image => image_block(reader).map(MessageBlock::Plain),
        BlockType::Reasoning => {
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
        BlockType::ToolCall => {
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
        BlockType::ToolResult => {
            let tool_call_id = reader.required("tool_call_id", string);
            let blocks = reader.required("blocks", |value| list(value, plain_block));
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

/// Reads a block of a tool result.
fn plain_block(value: FieldValue<'_, '_>) -> Option<Block> {
    let mut reader = ObjectReader::open(value)?;
    match block_type(&mut reader, true)? {
        BlockType::Image => image_block(reader),
        _ => text_block(reader),
    }
}

fn text_block(mut reader: ObjectReader<'_, '_>) -> Option<Block> {
    let text = reader.required("text", string);
    let detail = reader.optional("detail", object);
    reader.finish();
    Some(Block::Text {
        text: text?,
        detail: detail?,
    })
}

fn image_block(mut reader: ObjectReader<'_, '_>) -> Option<Block> {
    let data = reader.required("data", base64_data);
    let mime_type = reader.required("mimeType", string);
    let detail = reader.optional("detail", object);
    reader.finish();
    Some(Block::Image {
        data: data?,
        mime_type: mime_type?,
        detail: detail?,
    })
}

/// Base64 with optional padding.
const OPTIONAL_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn base64_data(value: FieldValue<'_, '_>) -> Option<Vec<u8>> {
    let FieldValue {
        raw,
        location,
        non_finite,
        errors,
    } = value;
    let text = string(FieldValue {
        raw,
        location,
        non_finite,
        errors,
    })?;
    let data = OPTIONAL_PADDING.decode(text.as_bytes()).ok();
    if data.is_none() {
        let error = ValidationError::Value("image data must be base64".into());
        errors.push(&error, location, raw.get());
    }
    data
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::decode::non_finite::NonFinite;
    use crate::decode::validation_error::{Location, ValidationErrors};

    fn read(text: &str) -> Result<Candidate, Vec<String>> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let mut errors = ValidationErrors::new();
        let candidates = Location::BODY.key("candidates");
        let read = candidate(FieldValue {
            raw,
            location: &candidates.index(0),
            non_finite: NonFinite::default(),
            errors: &mut errors,
        });
        errors.into_result(read).map_err(|errors| {
            let list: Vec<serde_json::Value> = serde_json::from_str(&errors.to_json()).unwrap();
            list.iter()
                .map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]))
                .collect()
        })
    }

    fn message(role: &str, block: &str) -> String {
        format!(r#"{{"messages":[{{"role":"{role}","blocks":[{block}]}}]}}"#)
    }

    #[test]
    fn reads_every_type_of_block_with_and_without_type() {
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
    fn reports_errors_with_their_location() {
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
