//! Tools as clients see them (wire contract section 6).

use serde::{Deserialize, Serialize};

use crate::content::{Json, json_text};

/// One entry of a tool listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// The name to call.
    pub name: String,
    /// The description for the agent.
    pub description: String,
    /// A JSON Schema; `None` for a tool without input.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "json_text::option"
    )]
    pub input_schema: Option<Json>,
}

/// The tool that grades an agent's final message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalTool {
    /// The name to call.
    pub name: String,
    /// The argument that takes the message; `None` if the tool grades the
    /// session's state.
    pub arg: Option<String>,
    /// The description.
    pub description: String,
}

/// The tools that an environment or a session offers, in listing order.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolListing {
    /// The listed tools.
    pub tools: Vec<ToolSpec>,
    /// The terminal tool, which is never among the listed tools.
    pub terminal: Option<TerminalTool>,
    /// Whether groups of candidates can be scored.
    pub supports_score_group: bool,
}
