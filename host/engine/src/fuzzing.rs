//! Entry points for the fuzz targets: the readers of guest output.

pub use orwd_bindings::orwd::environment::types as wit;

use crate::admission::scan::{self as scanning, ScanLimits};
use crate::convert::lift;
use orwd_model::{Message, Score, ToolOutput, ToolSpec};

/// Lifts and checks the output of a tool call; the error names what is wrong.
pub fn lift_output(output: wit::ToolOutput) -> Result<ToolOutput, String> {
    lift::output(output).map_err(|error| error.to_string())
}

/// Lifts and checks the scores of a group.
pub fn lift_scores(scores: Vec<wit::Score>) -> Result<Vec<Score>, String> {
    lift::scores(scores).map_err(|error| error.to_string())
}

/// Lifts and checks a conversation.
pub fn lift_messages(messages: Vec<wit::Message>) -> Result<Vec<Message>, String> {
    lift::messages(messages).map_err(|error| error.to_string())
}

/// Lifts and checks the tools that a task adds, schemas included.
pub fn lift_tools(tools: Vec<wit::TaskTool>) -> Result<Vec<ToolSpec>, String> {
    lift::task_tools(tools).map_err(|error| error.to_string())
}

/// Scans a component of at most 1 MiB; the error says why it is rejected.
pub fn scan(wasm: &[u8]) -> Result<(), String> {
    scanning::scan(wasm, &ScanLimits::with_size(1 << 20)).map_err(|error| error.to_string())
}
