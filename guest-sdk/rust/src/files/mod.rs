//! File tools for agents: reading, writing, editing and searching below a folder.

mod edit;
mod glob;
mod read;
mod search;
mod tools;

pub use edit::{Edit, apply_edits};
pub use tools::FileTools;
