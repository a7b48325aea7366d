//! `orwd sessions`: lists, shows, ends and forks sessions, of a server or of a
//! journal.

mod command;
mod journal;
mod render;
mod server;
mod source;
mod types;

pub(crate) use command::Sessions;
