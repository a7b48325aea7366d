//! Outcomes of runs (wire contract sections 8 and 9).

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::python_repr::python_repr;
use crate::content::{Block, Json, json_text};

/// A reward: a finite number, by construction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Reward(f64);

/// The number is infinite or NaN and cannot be a reward.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a reward must be a finite number, and this is {0}")]
pub struct NonFiniteReward(pub f64);

impl Reward {
    /// Checks that the number is finite.
    pub fn new(value: f64) -> Result<Reward, NonFiniteReward> {
        if value.is_finite() {
            Ok(Reward(value))
        } else {
            Err(NonFiniteReward(value))
        }
    }

    /// Returns the number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Reward {
    type Error = NonFiniteReward;

    fn try_from(value: f64) -> Result<Reward, NonFiniteReward> {
        Reward::new(value)
    }
}

impl From<Reward> for f64 {
    fn from(reward: Reward) -> f64 {
        reward.0
    }
}

/// The output of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolOutput {
    /// The content for the agent.
    pub blocks: Vec<Block>,
    /// Extra data for tools and viewers.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "json_text::option"
    )]
    pub metadata: Option<Json>,
    /// The reward. `None` makes no statement, which differs from zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<Reward>,
    /// True ends the episode.
    pub finished: bool,
}

/// The score of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The reward.
    pub reward: Reward,
    /// Extra data for tools and viewers.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "json_text::option"
    )]
    pub metadata: Option<Json>,
}

named_enum! {
    /// The reason for which a call was not run. A closed list on the wire.
    RefusalReason;
    /// There is no such tool.
    NotFound = "not_found",
    /// Two tools share the name.
    NameCollision = "name_collision",
    /// The input does not fit the tool's schema.
    InputValidation = "input_validation",
    /// The episode has finished.
    EpisodeFinished = "episode_finished",
}

/// A call that was not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The reason, for programs.
    pub reason: RefusalReason,
    /// The message for the agent.
    pub message: String,
}

impl Refusal {
    /// Refuses a call of a tool that does not exist.
    pub fn not_found(tool: &str) -> Refusal {
        Refusal {
            reason: RefusalReason::NotFound,
            message: format!("{} is not a valid tool", python_repr(tool)),
        }
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// The tool returned an output.
    Output(ToolOutput),
    /// The group was scored.
    Scores(Vec<Score>),
    /// The call was not run.
    Refused(Refusal),
    /// The tool or the scoring failed with this message of the guest's. The
    /// session continues.
    Failed(String),
    /// The call ended the session.
    Faulted(Fault),
}
