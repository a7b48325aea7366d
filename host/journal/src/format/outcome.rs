//! The layout of what asks come to.

use serde::{Deserialize, Serialize};

use super::block::{self, BlockLayout, MessageLayout};
use super::{NoRecord, fault_code, short};
use crate::record::Outcome;
use orwd_model::{Fault, Refusal, RefusalReason, Reward, Score, ToolOutput, ToolSpec, TrapKind};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Layout {
    Done,
    Blocks(Vec<BlockLayout>),
    Messages(Vec<MessageLayout>),
    Tools(Vec<ToolLayout>),
    Output(OutputLayout),
    Scores(Vec<ScoreLayout>),
    Refused { reason: String, message: String },
    Failed(String),
    Faulted(FaultLayout),
    Published { files: u64 },
}

/// The guest's own last words have no place in it: a journal is copied, carried
/// in files and shown, and they are for the session's owner alone, who gets them
/// with the answer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultLayout {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trap: Option<String>,
    message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputLayout {
    blocks: Vec<BlockLayout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
    finished: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreLayout {
    reward: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolLayout {
    name: String,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_schema: Option<String>,
}

impl From<&Outcome> for Layout {
    fn from(outcome: &Outcome) -> Layout {
        match outcome {
            Outcome::Done => Layout::Done,
            Outcome::Blocks(blocks) => Layout::Blocks(blocks.iter().map(Into::into).collect()),
            Outcome::Messages(messages) => {
                Layout::Messages(messages.iter().map(Into::into).collect())
            }
            Outcome::Tools(tools) => Layout::Tools(tools.iter().map(Into::into).collect()),
            Outcome::Output(output) => Layout::Output(output.into()),
            Outcome::Scores(scores) => Layout::Scores(scores.iter().map(Into::into).collect()),
            Outcome::Refused(refusal) => Layout::Refused {
                reason: refusal.reason.as_str().to_owned(),
                message: refusal.message.clone(),
            },
            Outcome::Failed(message) => Layout::Failed(message.clone()),
            Outcome::Faulted(fault) => Layout::Faulted(fault.into()),
            Outcome::Published { files } => Layout::Published { files: *files },
        }
    }
}

impl TryFrom<Layout> for Outcome {
    type Error = NoRecord;

    fn try_from(layout: Layout) -> Result<Outcome, NoRecord> {
        Ok(match layout {
            Layout::Done => Outcome::Done,
            Layout::Blocks(blocks) => Outcome::Blocks(block::all(blocks)?),
            Layout::Messages(messages) => Outcome::Messages(block::all(messages)?),
            Layout::Tools(tools) => Outcome::Tools(block::all(tools)?),
            Layout::Output(output) => Outcome::Output(output.try_into()?),
            Layout::Scores(scores) => Outcome::Scores(block::all(scores)?),
            Layout::Refused { reason, message } => Outcome::Refused(Refusal {
                reason: refusal_reason(&reason)?,
                message,
            }),
            Layout::Failed(message) => Outcome::Failed(message),
            Layout::Faulted(fault) => Outcome::Faulted(fault.try_into()?),
            Layout::Published { files } => Outcome::Published { files },
        })
    }
}

impl From<&Fault> for FaultLayout {
    fn from(fault: &Fault) -> FaultLayout {
        let Fault {
            code,
            trap,
            message,
            words: _,
        } = fault;
        FaultLayout {
            code: code.as_str().to_owned(),
            trap: trap.map(|kind| kind.as_str().to_owned()),
            message: message.clone(),
        }
    }
}

impl TryFrom<FaultLayout> for Fault {
    type Error = NoRecord;

    fn try_from(layout: FaultLayout) -> Result<Fault, NoRecord> {
        Ok(Fault {
            trap: layout.trap.as_deref().map(trap_kind).transpose()?,
            ..Fault::new(fault_code(&layout.code)?, layout.message)
        })
    }
}

fn trap_kind(text: &str) -> Result<TrapKind, NoRecord> {
    TrapKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| NoRecord::Value(format!("there is no trap {:?}", short(text))))
}

impl From<&ToolOutput> for OutputLayout {
    fn from(output: &ToolOutput) -> OutputLayout {
        OutputLayout {
            blocks: output.blocks.iter().map(BlockLayout::from).collect(),
            metadata: block::text(output.metadata.as_ref()),
            reward: output.reward.map(Reward::get),
            finished: output.finished,
        }
    }
}

impl TryFrom<OutputLayout> for ToolOutput {
    type Error = NoRecord;

    fn try_from(layout: OutputLayout) -> Result<ToolOutput, NoRecord> {
        Ok(ToolOutput {
            blocks: block::all(layout.blocks)?,
            metadata: block::some_json(layout.metadata)?,
            reward: layout.reward.map(reward).transpose()?,
            finished: layout.finished,
        })
    }
}

impl From<&Score> for ScoreLayout {
    fn from(score: &Score) -> ScoreLayout {
        ScoreLayout {
            reward: score.reward.get(),
            metadata: block::text(score.metadata.as_ref()),
        }
    }
}

impl TryFrom<ScoreLayout> for Score {
    type Error = NoRecord;

    fn try_from(layout: ScoreLayout) -> Result<Score, NoRecord> {
        Ok(Score {
            reward: reward(layout.reward)?,
            metadata: block::some_json(layout.metadata)?,
        })
    }
}

impl From<&ToolSpec> for ToolLayout {
    fn from(tool: &ToolSpec) -> ToolLayout {
        ToolLayout {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input_schema: block::text(tool.input_schema.as_ref()),
        }
    }
}

impl TryFrom<ToolLayout> for ToolSpec {
    type Error = NoRecord;

    fn try_from(layout: ToolLayout) -> Result<ToolSpec, NoRecord> {
        Ok(ToolSpec {
            name: layout.name,
            description: layout.description,
            input_schema: block::some_json(layout.input_schema)?,
        })
    }
}

fn reward(value: f64) -> Result<Reward, NoRecord> {
    Reward::new(value).map_err(NoRecord::value)
}

fn refusal_reason(text: &str) -> Result<RefusalReason, NoRecord> {
    [
        RefusalReason::NotFound,
        RefusalReason::NameCollision,
        RefusalReason::InputValidation,
        RefusalReason::EpisodeFinished,
    ]
    .into_iter()
    .find(|reason| reason.as_str() == text)
    .ok_or_else(|| NoRecord::Value(format!("there is no refusal {:?}", short(text))))
}
