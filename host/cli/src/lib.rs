//! The command line of orwd.
//!
//! Results go to standard output, everything else to standard error. Exit
//! codes: 0 success, 1 failure, 2 usage error; `play` and `replay` add one each.
//! An error says what is wrong, where, and what to do.

mod app;
mod bootstrap;
mod client;
mod commands;
mod console;
mod episodes;
mod manage;
mod operations;
mod play;
mod sessions;

pub use app::{Cli, main};
pub use console::CommandError;
