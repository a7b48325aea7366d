//! The layout of blocks, messages and candidates.

use serde::{Deserialize, Serialize};

use super::NoRecord;
use orwd_model::{Block, Candidate, Json, Message, MessageBlock, Role};

/// JSON is kept as its text.
pub(super) fn json(text: String) -> Result<Json, NoRecord> {
    Json::object(text).map_err(NoRecord::value)
}

pub(super) fn some_json(text: Option<String>) -> Result<Option<Json>, NoRecord> {
    text.map(json).transpose()
}

pub(super) fn text(json: Option<&Json>) -> Option<String> {
    json.map(|json| json.as_str().to_owned())
}

/// Every one of a list.
pub(super) fn all<L, T: TryFrom<L, Error = NoRecord>>(list: Vec<L>) -> Result<Vec<T>, NoRecord> {
    list.into_iter().map(T::try_from).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum BlockLayout {
    Text {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    Image {
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        mime: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

impl From<&Block> for BlockLayout {
    fn from(block: &Block) -> BlockLayout {
        match block {
            Block::Text { text: it, detail } => BlockLayout::Text {
                text: it.clone(),
                detail: text(detail.as_ref()),
            },
            Block::Image {
                data,
                mime_type,
                detail,
            } => BlockLayout::Image {
                data: data.clone(),
                mime: mime_type.clone(),
                detail: text(detail.as_ref()),
            },
        }
    }
}

impl TryFrom<BlockLayout> for Block {
    type Error = NoRecord;

    fn try_from(layout: BlockLayout) -> Result<Block, NoRecord> {
        Ok(match layout {
            BlockLayout::Text { text, detail } => Block::Text {
                text,
                detail: some_json(detail)?,
            },
            BlockLayout::Image { data, mime, detail } => Block::Image {
                data,
                mime_type: mime,
                detail: some_json(detail)?,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum MessageBlockLayout {
    Plain(BlockLayout),
    Reasoning {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    ToolCall {
        id: String,
        name: String,
        input: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    ToolResult {
        id: String,
        blocks: Vec<BlockLayout>,
        error: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

impl From<&MessageBlock> for MessageBlockLayout {
    fn from(block: &MessageBlock) -> MessageBlockLayout {
        match block {
            MessageBlock::Plain(block) => MessageBlockLayout::Plain(block.into()),
            MessageBlock::Reasoning {
                text: it,
                signature,
                detail,
            } => MessageBlockLayout::Reasoning {
                text: it.clone(),
                signature: signature.clone(),
                detail: text(detail.as_ref()),
            },
            MessageBlock::ToolCall {
                id,
                name,
                input,
                detail,
            } => MessageBlockLayout::ToolCall {
                id: id.clone(),
                name: name.clone(),
                input: input.as_str().to_owned(),
                detail: text(detail.as_ref()),
            },
            MessageBlock::ToolResult {
                tool_call_id,
                blocks,
                is_error,
                detail,
            } => MessageBlockLayout::ToolResult {
                id: tool_call_id.clone(),
                blocks: blocks.iter().map(BlockLayout::from).collect(),
                error: *is_error,
                detail: text(detail.as_ref()),
            },
        }
    }
}

impl TryFrom<MessageBlockLayout> for MessageBlock {
    type Error = NoRecord;

    fn try_from(layout: MessageBlockLayout) -> Result<MessageBlock, NoRecord> {
        Ok(match layout {
            MessageBlockLayout::Plain(block) => MessageBlock::Plain(block.try_into()?),
            MessageBlockLayout::Reasoning {
                text,
                signature,
                detail,
            } => MessageBlock::Reasoning {
                text,
                signature,
                detail: some_json(detail)?,
            },
            MessageBlockLayout::ToolCall {
                id,
                name,
                input,
                detail,
            } => MessageBlock::ToolCall {
                id,
                name,
                input: json(input)?,
                detail: some_json(detail)?,
            },
            MessageBlockLayout::ToolResult {
                id,
                blocks,
                error,
                detail,
            } => MessageBlock::ToolResult {
                tool_call_id: id,
                blocks: all(blocks)?,
                is_error: error,
                detail: some_json(detail)?,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleLayout {
    System,
    User,
    Assistant,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageLayout {
    role: RoleLayout,
    blocks: Vec<MessageBlockLayout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&Message> for MessageLayout {
    fn from(message: &Message) -> MessageLayout {
        let role = match message.role {
            Role::System => RoleLayout::System,
            Role::User => RoleLayout::User,
            Role::Assistant => RoleLayout::Assistant,
        };
        MessageLayout {
            role,
            blocks: message.blocks.iter().map(Into::into).collect(),
            detail: text(message.detail.as_ref()),
        }
    }
}

impl TryFrom<MessageLayout> for Message {
    type Error = NoRecord;

    fn try_from(layout: MessageLayout) -> Result<Message, NoRecord> {
        let role = match layout.role {
            RoleLayout::System => Role::System,
            RoleLayout::User => Role::User,
            RoleLayout::Assistant => Role::Assistant,
        };
        let blocks: Vec<MessageBlock> = all(layout.blocks)?;
        if !blocks.iter().all(|block| role.allows(block)) {
            return Err(NoRecord::value(
                "a message holds a block that its role may not",
            ));
        }
        Ok(Message {
            role,
            blocks,
            detail: some_json(layout.detail)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CandidateLayout {
    messages: Vec<MessageLayout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

impl From<&Candidate> for CandidateLayout {
    fn from(candidate: &Candidate) -> CandidateLayout {
        CandidateLayout {
            messages: candidate.messages.iter().map(MessageLayout::from).collect(),
            metadata: text(candidate.metadata.as_ref()),
        }
    }
}

impl TryFrom<CandidateLayout> for Candidate {
    type Error = NoRecord;

    fn try_from(layout: CandidateLayout) -> Result<Candidate, NoRecord> {
        Ok(Candidate {
            messages: all(layout.messages)?,
            metadata: some_json(layout.metadata)?,
        })
    }
}
