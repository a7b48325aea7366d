//! Environments as they describe themselves: splits, tasks and tools.

mod description;
mod names;
mod task;
mod tool;

pub use description::{
    Capabilities, EnvironmentDescription, Tool, ToolAccess, ToolLookup, ToolVisibility,
};
pub use names::{RESERVED_PATHS, TOOLSETS};
pub use task::{Split, SplitKind, TaskSource};
pub use tool::{TerminalTool, ToolListing, ToolSpec};
