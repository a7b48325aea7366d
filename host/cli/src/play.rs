//! `orwd play`: plays one episode, by hand or from a script.

mod client;
mod command;
mod http;
mod input;
mod output;
mod session_loop;
mod sse;
mod summary;

pub(crate) use command::Play;
