//! What commands share: errors, exit codes, the log and the terminal.

mod error;
mod log_queue;
pub(crate) mod logging;
mod status;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod time;

pub use error::CommandError;
pub(crate) use logging::{DroppedLines, Log};
pub(crate) use status::CommandStatus;
