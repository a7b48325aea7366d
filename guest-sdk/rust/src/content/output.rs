//! The output of a tool.

use std::fmt;

use serde::Serialize;

use crate::{Block, Error, json::Object, text};

/// The output of a tool: blocks for the agent, and the effect on the episode.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// let output = Output::text("correct").reward(1.0).finished();
/// assert_eq!((output.reward, output.finished), (Some(1.0), true));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The blocks that the agent sees.
    pub blocks: Vec<Block>,
    /// A JSON object for tools and viewers that the agent does not see.
    pub metadata: Option<Object>,
    /// The reward. `None` states no reward, which is not the same as 0.
    pub reward: Option<f64>,
    /// True ends the episode.
    pub finished: bool,
}

impl Output {
    /// Creates an output with one text block.
    pub fn text(value: impl Into<String>) -> Self {
        Self::blocks([text(value)])
    }

    /// Creates an output with these blocks.
    pub fn blocks<B: Into<Block>>(blocks: impl IntoIterator<Item = B>) -> Self {
        Self {
            blocks: blocks.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Creates an output without blocks.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sets the reward, a finite number.
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

    /// Adds metadata: a JSON object for tools and viewers that the agent does
    /// not see.
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = Some(Object::new(metadata));
        self
    }

    /// Returns the concatenated text of the text blocks. For tests.
    pub fn plain(&self) -> String {
        self.blocks.iter().filter_map(Block::as_text).collect()
    }
}

/// A return type of tools: an [`Output`], text, blocks, or a `Result` of one of
/// them.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return `{Self}`",
    label = "not what a tool gives",
    note = "return `Output`, `String`, `&str`, `Vec<Block>`, or a `Result` of one of them"
)]
pub trait IntoOutput {
    /// Converts the value.
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

/// The reason why a call failed. The session continues after each of these.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolError {
    /// The tool does not exist.
    NotFound,
    /// The input is invalid; the message tells the agent what to correct.
    InvalidInput(String),
    /// Two tools have the same name.
    Collision(String),
    /// The tool ran and failed, with this message.
    Failed(String),
    /// The episode has finished. The host and the test harness return this; the
    /// environment does not see the call.
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
