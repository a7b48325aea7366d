//! The component: the exports of the WIT package, on top of the same dispatch
//! that unit tests use.
//!
//! This module only converts types. An invalid JSON object is an error of the
//! call that contains it; the host checks everything else.

use std::{cell::RefCell, marker::PhantomData};

use crate::{
    Access, Block, Candidate, Environment, Error, Image, Message, MessageBlock, Reasoning, Result,
    Role, SplitKind, Text, ToolCall, ToolError, ToolResult, Visibility,
    component::bindings::{
        exports::orwd::environment::{orwd_catalog, orwd_episode},
        orwd::environment::types,
    },
    environment::{Catalog, Episode, TaskError},
    json::{Json, Object},
    tools,
};

/// The type that [`export!`](crate::export) exports.
#[doc(hidden)]
pub struct Component<E>(PhantomData<E>);

thread_local! {
    static CATALOG: RefCell<Catalog> = const { RefCell::new(Catalog::new()) };
}

impl<E: Environment> orwd_catalog::Guest for Component<E> {
    fn describe() -> types::Description {
        let about = E::MARKED_WITH_ENVIRONMENT;
        let mut supports = types::Support::empty();
        supports.set(types::Support::PROMPTS, about.capabilities.prompts);
        supports.set(types::Support::MESSAGES, about.capabilities.messages);
        supports.set(types::Support::TASK_TOOLS, about.capabilities.task_tools);
        supports.set(types::Support::SCORE_GROUP, about.capabilities.score_group);
        supports.set(types::Support::LISTING, about.capabilities.listing);
        types::Description {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            splits: E::splits().into_iter().map(split).collect(),
            tools: tools::describe::<E>().into_iter().map(tool).collect(),
            supports,
        }
    }

    fn num_tasks(split: String) -> Result<u64, types::TaskError> {
        Ok(CATALOG.with_borrow_mut(|catalog| catalog.num_tasks::<E>(&split))?)
    }

    fn tasks(split: String, start: u64, stop: u64) -> Result<Vec<String>, types::TaskError> {
        Ok(CATALOG.with_borrow_mut(|catalog| catalog.tasks::<E>(&split, start..stop))?)
    }

    fn task(split: String, index: i64) -> Result<String, types::TaskError> {
        Ok(CATALOG.with_borrow_mut(|catalog| catalog.task::<E>(&split, index))?)
    }
}

impl<E: Environment> orwd_episode::Guest for Component<E> {
    type Session = Session<E>;
}

/// The resource `session`.
#[doc(hidden)]
pub struct Session<E>(RefCell<Episode<E>>);

impl<E: Environment> Session<E> {
    /// Runs a request on the episode. The host runs the calls of a session in
    /// sequence; an overlapping call returns an error instead of a trap.
    fn enter<T>(&self, request: impl FnOnce(&mut Episode<E>) -> Result<T>) -> Result<T, String> {
        let mut episode = self.0.try_borrow_mut().map_err(|busy| busy.to_string())?;
        request(&mut episode).map_err(|error| error.to_string())
    }
}

impl<E: Environment> orwd_episode::GuestSession for Session<E> {
    fn open(
        task: String,
        secrets: Vec<types::Secret>,
        seed: u64,
    ) -> Result<orwd_episode::Session, String> {
        let secrets = secrets
            .into_iter()
            .map(|secret| (secret.name, secret.value))
            .collect();
        let episode =
            Episode::<E>::open(&task, secrets, seed).map_err(|error| error.to_string())?;
        Ok(orwd_episode::Session::new(Self(RefCell::new(episode))))
    }

    fn setup(&self) -> Result<(), String> {
        self.enter(Episode::setup)
    }

    fn prompt(&self) -> Result<Vec<types::Block>, String> {
        self.enter(|episode| episode.prompt()?.into_iter().map(block_out).collect())
    }

    fn messages(&self) -> Result<Vec<types::Message>, String> {
        self.enter(|episode| episode.messages()?.into_iter().map(message_out).collect())
    }

    fn task_tools(&self) -> Result<Vec<types::TaskTool>, String> {
        self.enter(|episode| {
            let tools = episode.task_tools()?.into_iter();
            tools
                .map(|tool| {
                    Ok(types::TaskTool {
                        name: tool.name,
                        description: tool.description,
                        input_schema: object(tool.input_schema, "the schema of a task's tool")?,
                    })
                })
                .collect()
        })
    }

    fn call(&self, tool: String, input: String) -> Result<types::ToolOutput, types::ToolError> {
        let mut episode = self
            .0
            .try_borrow_mut()
            .map_err(|busy| types::ToolError::Failed(busy.to_string()))?;
        let output = episode.call(&tool, &input)?;
        let blocks: Result<Vec<_>> = output.blocks.into_iter().map(block_out).collect();
        Ok(types::ToolOutput {
            blocks: blocks.map_err(ToolError::from)?,
            metadata: object(output.metadata, "the metadata of the output")
                .map_err(ToolError::from)?,
            reward: output.reward,
            finished: output.finished,
        })
    }

    fn score_group(&self, candidates: Vec<types::Candidate>) -> Result<Vec<types::Score>, String> {
        self.enter(|episode| {
            let candidates: Result<Vec<_>> = candidates.into_iter().map(candidate).collect();
            let scores = episode.score_group(&candidates?)?.into_iter();
            scores
                .map(|score| {
                    Ok(types::Score {
                        reward: score.reward,
                        metadata: object(score.metadata, "the metadata of a score")?,
                    })
                })
                .collect()
        })
    }

    fn teardown(&self) -> Result<(), String> {
        self.enter(Episode::teardown)
    }
}

fn split(split: crate::Split) -> types::Split {
    types::Split {
        name: split.name,
        kind: match split.kind {
            SplitKind::Train => types::SplitKind::Train,
            SplitKind::Validation => types::SplitKind::Validation,
            SplitKind::Test => types::SplitKind::Test,
        },
    }
}

fn tool(tool: tools::ToolDescription) -> types::Tool {
    types::Tool {
        name: tool.name.to_owned(),
        description: tool.description.to_owned(),
        input_schema: tool.input_schema.map(|schema| schema.to_string()),
        access: match tool.access {
            Access::Serial => types::Access::Serial,
            Access::Concurrent => types::Access::Concurrent,
            Access::Exclusive => types::Access::Exclusive,
        },
        visibility: match tool.visibility {
            Visibility::Listed => types::Visibility::Listed,
            Visibility::Unlisted => types::Visibility::Unlisted,
            Visibility::Terminal(argument) => {
                types::Visibility::Terminal(argument.map(str::to_owned))
            }
        },
        toolset: tool.toolset.map(str::to_owned),
    }
}

impl From<TaskError> for types::TaskError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::InvalidSplit => Self::InvalidSplit,
            TaskError::InvalidIndex => Self::InvalidIndex,
            TaskError::Failed(message) => Self::Failed(message),
        }
    }
}

impl From<ToolError> for types::ToolError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::NotFound => Self::NotFound,
            ToolError::InvalidInput(message) => Self::InvalidInput(message),
            ToolError::Collision(message) => Self::Collision(message),
            ToolError::Failed(message) => Self::Failed(message),
            finished @ ToolError::EpisodeFinished => Self::Failed(finished.to_string()),
        }
    }
}

fn object(object: Option<Object>, what: &str) -> Result<Option<String>> {
    object
        .map(|object| object.text(what).map(str::to_owned))
        .transpose()
}

fn detail_out(detail: Option<Object>) -> Result<Option<String>> {
    object(detail, "the detail of a block")
}

/// Takes detail that the host has validated as a JSON object.
fn detail_in(detail: Option<String>) -> Option<Object> {
    detail.map(Object::unchecked)
}

fn text_out(text: Text) -> Result<types::TextBlock> {
    Ok(types::TextBlock {
        text: text.text,
        detail: detail_out(text.detail)?,
    })
}

fn image_out(image: Image) -> Result<types::ImageBlock> {
    Ok(types::ImageBlock {
        data: image.data,
        mime_type: image.mime_type,
        detail: detail_out(image.detail)?,
    })
}

fn block_out(block: Block) -> Result<types::Block> {
    Ok(match block {
        Block::Text(text) => types::Block::Text(text_out(text)?),
        Block::Image(image) => types::Block::Image(image_out(image)?),
    })
}

fn message_out(message: Message) -> Result<types::Message> {
    let blocks: Result<Vec<_>> = message.blocks.into_iter().map(message_block_out).collect();
    Ok(types::Message {
        role: match message.role {
            Role::System => types::Role::System,
            Role::User => types::Role::User,
            Role::Assistant => types::Role::Assistant,
        },
        blocks: blocks?,
        detail: object(message.detail, "the detail of a message")?,
    })
}

fn message_block_out(block: MessageBlock) -> Result<types::MessageBlock> {
    Ok(match block {
        MessageBlock::Text(text) => types::MessageBlock::Text(text_out(text)?),
        MessageBlock::Image(image) => types::MessageBlock::Image(image_out(image)?),
        MessageBlock::Reasoning(reasoning) => {
            types::MessageBlock::Reasoning(types::ReasoningBlock {
                text: reasoning.text,
                signature: reasoning.signature,
                detail: detail_out(reasoning.detail)?,
            })
        }
        MessageBlock::ToolCall(call) => types::MessageBlock::ToolCall(types::ToolCallBlock {
            input: call.input.text("the input of a tool call")?.to_owned(),
            id: call.id,
            name: call.name,
            detail: detail_out(call.detail)?,
        }),
        MessageBlock::ToolResult(result) => {
            let blocks: Result<Vec<_>> = result.blocks.into_iter().map(block_out).collect();
            types::MessageBlock::ToolResult(types::ToolResultBlock {
                tool_call_id: result.tool_call_id,
                blocks: blocks?,
                is_error: result.is_error,
                detail: detail_out(result.detail)?,
            })
        }
    })
}

fn candidate(candidate: types::Candidate) -> Result<Candidate> {
    Ok(Candidate {
        messages: candidate.messages.into_iter().map(message_in).collect(),
        metadata: candidate
            .metadata
            .map(Json::from_text)
            .transpose()
            .map_err(|error| Error::msg(format_args!("the metadata of a candidate: {error}")))?,
    })
}

fn message_in(message: types::Message) -> Message {
    Message {
        role: match message.role {
            types::Role::System => Role::System,
            types::Role::User => Role::User,
            types::Role::Assistant => Role::Assistant,
        },
        blocks: message.blocks.into_iter().map(message_block_in).collect(),
        detail: detail_in(message.detail),
    }
}

fn message_block_in(block: types::MessageBlock) -> MessageBlock {
    match block {
        types::MessageBlock::Text(text) => MessageBlock::Text(text_in(text)),
        types::MessageBlock::Image(image) => MessageBlock::Image(image_in(image)),
        types::MessageBlock::Reasoning(reasoning) => MessageBlock::Reasoning(Reasoning {
            text: reasoning.text,
            signature: reasoning.signature,
            detail: detail_in(reasoning.detail),
        }),
        types::MessageBlock::ToolCall(call) => MessageBlock::ToolCall(ToolCall {
            id: call.id,
            name: call.name,
            input: Object::unchecked(call.input),
            detail: detail_in(call.detail),
        }),
        types::MessageBlock::ToolResult(result) => MessageBlock::ToolResult(ToolResult {
            tool_call_id: result.tool_call_id,
            blocks: result.blocks.into_iter().map(block_in).collect(),
            is_error: result.is_error,
            detail: detail_in(result.detail),
        }),
    }
}

fn block_in(block: types::Block) -> Block {
    match block {
        types::Block::Text(text) => Block::Text(text_in(text)),
        types::Block::Image(image) => Block::Image(image_in(image)),
    }
}

fn text_in(text: types::TextBlock) -> Text {
    Text {
        text: text.text,
        detail: detail_in(text.detail),
    }
}

fn image_in(image: types::ImageBlock) -> Image {
    Image {
        data: image.data,
        mime_type: image.mime_type,
        detail: detail_in(image.detail),
    }
}
