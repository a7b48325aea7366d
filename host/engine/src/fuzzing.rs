//! The readers of what comes from guests, for the fuzz targets.

pub use orwd_bindings::orwd::environment::types as wit;

use super::scan::Caps;
use super::{lift, scan as scanning};
use orwd_model::{Message, Score, ToolOutput, ToolSpec};

/// Lifts and checks what a call gave; the error names what is wrong.
pub fn lift_output(output: wit::ToolOutput) -> Result<ToolOutput, String> {
    lift::output(output).map_err(|unfit| unfit.to_string())
}

/// Lifts and checks what scoring gave.
pub fn lift_scores(scores: Vec<wit::Score>) -> Result<Vec<Score>, String> {
    lift::scores(scores).map_err(|unfit| unfit.to_string())
}

/// Lifts and checks a conversation.
pub fn lift_messages(messages: Vec<wit::Message>) -> Result<Vec<Message>, String> {
    lift::messages(messages).map_err(|unfit| unfit.to_string())
}

/// Lifts and checks the tools that a task adds, schemas included.
pub fn lift_tools(tools: Vec<wit::TaskTool>) -> Result<Vec<ToolSpec>, String> {
    lift::task_tools(tools).map_err(|unfit| unfit.to_string())
}

/// Scans a component of at most a mebibyte; the error says why it is refused.
pub fn scan(wasm: &[u8]) -> Result<(), String> {
    scanning::scan(wasm, &Caps::with_size(1 << 20)).map_err(|error| error.to_string())
}
