//! The words that every room shares: ids, JSON that we do not own, blocks,
//! tools, outcomes and faults.
//!
//! Plain values. This module knows no HTTP and no wasmtime, and uses no other
//! module of the crate.

mod admission;
mod block;
mod description;
mod fault;
mod genesis;
mod id;
mod json;
mod levels;
mod limits;
mod mode;
mod outcome;
mod quoted;
mod reserved;
mod secret;
mod seed;
mod task;
mod timestamp;
mod tool;
mod toolset;
mod weigh;

pub use admission::AdmissionLimits;
pub use block::{Block, Candidate, Message, MessageBlock, Role};
pub use description::{Description, Named, Support, Tool, ToolAccess, Visibility};
pub use fault::{Fault, FaultCode, TrapKind};
pub use genesis::{ClockMode, Genesis, Pace};
pub use id::{DataDigest, Digest, EnvName, InvalidEnvName, SessionId, TaskId};
pub use json::{Json, NotAnObject};
pub use levels::Levels;
pub use limits::{Budget, SessionLimits};
pub use mode::{Existing, Mode, Publish};
pub use outcome::{NonFinite, Refusal, RefusalReason, Reward, RunOutcome, Score, ToolOutput};
pub use quoted::quoted;
pub use reserved::RESERVED;
pub use secret::{Secret, Secrets};
pub use seed::{InvalidSeed, Seed};
pub use task::{Split, SplitKind, TaskSource};
pub use timestamp::Timestamp;
pub use tool::{TerminalTool, ToolListing, ToolSpec};
pub use toolset::TOOLSETS;
pub use weigh::Weigh;
