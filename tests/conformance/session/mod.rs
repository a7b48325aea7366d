//! The lifecycle of a session: creation, setup, prompts, tools, deletion.

mod create;
mod deletion;
mod prompts;
mod setup;
mod tools;
