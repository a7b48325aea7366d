//! What a run comes to (wire contract sections 8 and 9).

use super::{Block, Fault, Json, quoted};

/// A reward: a finite number, by construction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Reward(f64);

/// The number given for a reward is none: infinite, or not a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a reward must be a finite number, and this is {0}")]
pub struct NonFinite(pub f64);

impl Reward {
    /// Takes a number for a reward if it is finite.
    pub fn new(value: f64) -> Result<Reward, NonFinite> {
        if value.is_finite() {
            Ok(Reward(value))
        } else {
            Err(NonFinite(value))
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutput {
    /// What the agent reads.
    pub blocks: Vec<Block>,
    /// For tools and viewers.
    pub metadata: Option<Json>,
    /// None is no statement, which is not zero.
    pub reward: Option<Reward>,
    /// True ends the episode.
    pub finished: bool,
}

/// The score of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The reward.
    pub reward: Reward,
    /// For tools and viewers.
    pub metadata: Option<Json>,
}

/// Why a call was not run. A closed list on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No such tool.
    NotFound,
    /// Two tools share the name.
    NameCollision,
    /// The input does not fit the tool.
    InputValidation,
    /// The episode is over.
    EpisodeFinished,
}

impl RefusalReason {
    /// The reason on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::NotFound => "not_found",
            RefusalReason::NameCollision => "name_collision",
            RefusalReason::InputValidation => "input_validation",
            RefusalReason::EpisodeFinished => "episode_finished",
        }
    }
}

/// A call that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub reason: RefusalReason,
    /// For the agent.
    pub message: String,
}

impl Refusal {
    /// Refuses a call of a tool that is not there.
    pub fn not_found(tool: &str) -> Refusal {
        Refusal {
            reason: RefusalReason::NotFound,
            message: format!("{} is not a valid tool", quoted(tool)),
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// The tool gave this.
    Output(ToolOutput),
    /// The group was scored.
    Scores(Vec<Score>),
    /// The call was not run.
    Refused(Refusal),
    /// The tool or the scoring failed with this message of the guest's; the
    /// session goes on.
    Failed(String),
    /// The session ended in this call.
    Faulted(Fault),
}
