//! Tools as clients see them (wire contract section 6).

use super::Json;

/// One line of a tool listing.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// What a call names.
    pub name: String,
    /// What the agent reads.
    pub description: String,
    /// A JSON Schema; none for a tool without input.
    pub input_schema: Option<Json>,
}

/// The tool that grades an agent's final message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalTool {
    /// What a call names.
    pub name: String,
    /// The argument that takes the message; none if it grades from state.
    pub arg: Option<String>,
    /// What it does.
    pub description: String,
}

/// What an environment or a session offers, in listing order.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolListing {
    /// The listed tools.
    pub tools: Vec<ToolSpec>,
    /// The terminal tool, which is never among them.
    pub terminal: Option<TerminalTool>,
    /// Whether groups of candidates can be scored.
    pub supports_score_group: bool,
}
