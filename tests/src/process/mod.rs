//! Runs the `orwd` binary: to its end, as a server, or as the one server that a
//! whole test target uses.

mod command;
mod journal_file;
mod replay;
mod server;
mod server_under_test;

pub use command::{CommandResult, OrwdCommand};
pub use journal_file::journal_contains;
pub use replay::{ReplayCommand, replay_without_difference};
pub use server::{ServeCommand, ServerProcess, unused_address};
pub use server_under_test::{ServerUnderTest, server_under_test};
