//! The layout of what is asked.

use serde::{Deserialize, Serialize};

use super::NoRecord;
use super::block::{self, CandidateLayout};
use crate::record::Ask;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Layout {
    Setup,
    Prompt,
    Messages,
    TaskTools,
    Call { tool: String, input: String },
    Score { candidates: Vec<CandidateLayout> },
    Teardown,
}

impl From<&Ask> for Layout {
    fn from(ask: &Ask) -> Layout {
        match ask {
            Ask::Setup => Layout::Setup,
            Ask::Prompt => Layout::Prompt,
            Ask::Messages => Layout::Messages,
            Ask::TaskTools => Layout::TaskTools,
            Ask::Call { tool, input } => Layout::Call {
                tool: tool.clone(),
                input: input.as_str().to_owned(),
            },
            Ask::Score { candidates } => Layout::Score {
                candidates: candidates.iter().map(CandidateLayout::from).collect(),
            },
            Ask::Teardown => Layout::Teardown,
        }
    }
}

impl TryFrom<Layout> for Ask {
    type Error = NoRecord;

    fn try_from(layout: Layout) -> Result<Ask, NoRecord> {
        Ok(match layout {
            Layout::Setup => Ask::Setup,
            Layout::Prompt => Ask::Prompt,
            Layout::Messages => Ask::Messages,
            Layout::TaskTools => Ask::TaskTools,
            Layout::Call { tool, input } => Ask::Call {
                tool,
                input: block::json(input)?,
            },
            Layout::Score { candidates } => Ask::Score {
                candidates: block::all(candidates)?,
            },
            Layout::Teardown => Ask::Teardown,
        })
    }
}
