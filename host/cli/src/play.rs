//! `orwd play`: plays one episode, by hand or from a script.

mod client;
mod command;
mod editor;
mod input;
mod output;
mod session_loop;
mod summary;

pub(crate) use command::Play;
