//! What a tool gives.

use std::fmt;

use serde::Serialize;

use crate::{Block, Error, json::Object, text};

/// What a tool gives: blocks for the agent, and what they mean for the episode.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// let output = Output::text("correct").reward(1.0).finished();
/// assert_eq!((output.reward, output.finished), (Some(1.0), true));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// What the agent sees.
    pub blocks: Vec<Block>,
    /// What goes with it for tools and viewers.
    pub metadata: Option<Object>,
    /// None is no statement about the reward, which is not zero.
    pub reward: Option<f64>,
    /// True ends the episode.
    pub finished: bool,
}

impl Output {
    /// One block of text.
    pub fn text(value: impl Into<String>) -> Self {
        Self::blocks([text(value)])
    }

    /// Several blocks.
    pub fn blocks<B: Into<Block>>(blocks: impl IntoIterator<Item = B>) -> Self {
        Self {
            blocks: blocks.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Nothing for the agent to see.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Gives a reward, a finite number.
    pub fn reward(mut self, reward: f64) -> Self {
        self.reward = Some(reward);
        self
    }

    /// Ends the episode: no tool runs after this one.
    pub fn finished(self) -> Self {
        self.finish_if(true)
    }

    /// Ends the episode if the condition holds.
    pub fn finish_if(mut self, condition: bool) -> Self {
        self.finished |= condition;
        self
    }

    /// Adds metadata: a JSON object for tools and viewers, which the agent
    /// does not see.
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = Some(Object::new(metadata));
        self
    }

    /// The text of each block of text, one after the other. For tests.
    pub fn plain(&self) -> String {
        self.blocks.iter().filter_map(Block::as_text).collect()
    }
}

/// What a tool may return: an [`Output`], text, blocks, or a `Result` of one
/// of them.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return `{Self}`",
    label = "not what a tool gives",
    note = "return `Output`, `String`, `&str`, `Vec<Block>`, or a `Result` of one of them"
)]
pub trait IntoOutput {
    /// The output that it stands for.
    fn into_output(self) -> Result<Output, Error>;
}

impl IntoOutput for Output {
    fn into_output(self) -> Result<Output, Error> {
        Ok(self)
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Result<Output, Error> {
        Ok(Output::text(self))
    }
}

impl IntoOutput for &str {
    fn into_output(self) -> Result<Output, Error> {
        Ok(Output::text(self))
    }
}

impl IntoOutput for Vec<Block> {
    fn into_output(self) -> Result<Output, Error> {
        Ok(Output::blocks(self))
    }
}

impl<T: IntoOutput, E: Into<Error>> IntoOutput for Result<T, E> {
    fn into_output(self) -> Result<Output, Error> {
        self.map_err(Into::into)?.into_output()
    }
}

/// Why a call gave nothing. The session goes on after each of these.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolError {
    /// There is no such tool.
    NotFound,
    /// The input does not fit, in words that an agent can act on.
    InvalidInput(String),
    /// Two tools share the name.
    Collision(String),
    /// The tool ran and failed, with this message.
    Failed(String),
    /// The episode had finished before. The host says so, and so does the
    /// harness of unit tests; an environment does not see such a call.
    EpisodeFinished,
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such tool"),
            Self::InvalidInput(text) | Self::Collision(text) | Self::Failed(text) => {
                f.write_str(text)
            }
            Self::EpisodeFinished => f.write_str("the episode has finished"),
        }
    }
}

impl std::error::Error for ToolError {}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}
