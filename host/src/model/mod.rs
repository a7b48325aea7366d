//! The words that every room shares: ids, JSON that we do not own, blocks,
//! tools, outcomes and faults.
//!
//! Plain values. This module knows no HTTP and no wasmtime, and uses no other
//! module of the crate.

mod block;
mod fault;
mod id;
mod json;
mod outcome;
mod secret;
mod task;
mod tool;
mod toolset;

pub use block::{Block, Candidate, Message, MessageBlock, Role};
pub use fault::{Fault, FaultCode};
pub use id::{EnvName, InvalidEnvName, SessionId, TaskId};
pub use json::{Json, NotAnObject};
pub use outcome::{NonFinite, Refusal, RefusalReason, Reward, RunOutcome, Score, ToolOutput};
pub use secret::{Secret, Secrets};
pub use task::{Split, SplitKind, TaskSource};
pub use tool::{TerminalTool, ToolListing, ToolSpec};
pub use toolset::TOOLSETS;
