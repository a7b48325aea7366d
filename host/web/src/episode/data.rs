//! Sessions and steps as `GET /orwd/sessions` of a server describes them, as far as
//! pages show them.

use serde::Deserialize;
use serde_json::Value;

/// A session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownSession {
    /// The id.
    pub session: String,
    /// The environment.
    pub environment: String,
    /// The digest of its component.
    pub component: String,
    /// When it was created.
    pub created_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Its state, or how it ended.
    pub state: String,
}

/// A session with the summary of its steps.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownDetail {
    /// The session.
    #[serde(flatten)]
    pub summary: ShownSession,
    /// The seed.
    pub seed: String,
    /// Whether it can be replayed and forked.
    pub replayable: bool,
    /// The steps without their content.
    pub steps: Vec<Step>,
}

/// A page of steps.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownSteps {
    /// The steps.
    pub steps: Vec<Step>,
    /// What the next page begins with.
    pub next: Option<String>,
}

/// A step of a session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    /// The number of its record.
    pub record: u64,
    /// The number of the call or scoring, from 1.
    pub step: Option<u64>,
    /// When it was asked for.
    pub at_ms: u64,
    /// What was asked for.
    pub kind: String,
    /// The tool.
    pub tool: Option<String>,
    /// The reward.
    pub reward: Option<f64>,
    /// Whether the episode is finished with it.
    pub finished: bool,
    /// CPU time of the guest.
    pub cpu_us: Option<u64>,
    /// The input of a tool, or a list of candidates.
    pub input: Option<Value>,
    /// What the guest returned.
    pub output: Option<ShownOutput>,
    /// Whether the content was not kept.
    pub sealed: bool,
}

/// What the guest returned.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownOutput {
    /// The content.
    pub blocks: Vec<ShownBlock>,
    /// The messages of a prompt.
    pub messages: Vec<ShownMessage>,
    /// The names of tools.
    pub tools: Vec<String>,
    /// What the environment adds.
    pub metadata: Option<Value>,
    /// The scores of candidates.
    pub scores: Vec<ShownScore>,
    /// Why there is no result.
    pub error: Option<ShownError>,
}

/// A part of a content. What it lacks depends on its type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownBlock {
    /// `text`, `image`, `reasoning`, `tool_call` or `tool_result`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// The type of an image.
    pub mime_type: String,
    /// Bytes of an image.
    pub bytes: u64,
    /// The digest of an image.
    pub digest: String,
    /// The name of a tool.
    pub name: String,
    /// The input of a tool.
    pub input: Option<Value>,
    /// The result of a tool.
    pub blocks: Vec<ShownBlock>,
}

/// A message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownMessage {
    /// Who says it.
    pub role: String,
    /// The content.
    pub blocks: Vec<ShownBlock>,
}

/// A candidate that is scored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownCandidate {
    /// The messages.
    pub messages: Vec<ShownMessage>,
}

/// The score of a candidate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownScore {
    /// The reward.
    pub reward: f64,
}

/// Why a step has no result.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShownError {
    /// A word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}
