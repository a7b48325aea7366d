//! Value types that every orwd crate shares: ids, digests, JSON that orwd does
//! not own, blocks, tools, outcomes, faults and limits.
//!
//! Plain values only. This crate knows neither HTTP nor wasmtime and depends on
//! no other crate of the workspace.
//!
//! Where a type implements serde, that is its form in journal records. A change
//! of it changes the record format, which the golden test of `orwd-journal`
//! refuses.

#[macro_use]
mod macros;

mod content;
mod digest;
mod durability;
mod environment;
pub mod hex;
mod id;
mod limits;
mod outcome;
mod session;

pub use content::{
    Block, Candidate, EncodedSize, HeapSize, InvalidJsonObject, Json, JsonDepth, Message,
    MessageBlock, Role, json_text,
};
pub use digest::{DataDigest, Digest};
pub use durability::{Durability, UnknownDurability};
pub use environment::{
    Capabilities, EnvironmentDescription, RESERVED_PATHS, Split, SplitKind, TOOLSETS, TaskSource,
    TerminalTool, Tool, ToolAccess, ToolListing, ToolLookup, ToolSpec, ToolVisibility,
};
pub use id::{EnvName, InvalidEnvName, RunId, SessionId};
pub use limits::{
    AdmissionLimits, Amount, Budget, ByteSize, HttpLimits, LimitDefault, LimitError, LimitField,
    LimitSet, LimitSpec, LimitUnit, SessionLimits, TimeSpan, UnitError,
};
pub use outcome::{
    Fault, FaultCode, NonFiniteReward, Refusal, RefusalReason, Reward, RunOutcome, Score,
    ToolOutput, TrapKind, python_repr,
};
pub use session::{
    ClockMode, DataMode, DeterminismConfig, DiskBudget, HttpError, HttpErrorCode, HttpExchange,
    HttpPort, HttpRequest, HttpResponse, HttpResult, InvalidSeed, MemoryBudget, MemoryTurn,
    MemoryWait, OnConflict, PLACEHOLDER_END, PublishRules, Secret, Secrets, Seed, SleepMode,
    Timestamp,
};
