//! Commands for journaled episodes: replay, export, import, verification.

mod export;
mod import;
mod replay;
mod replay_runner;
mod verify;

pub(crate) use export::Export;
pub(crate) use import::Import;
pub(crate) use replay::Replay;
pub(crate) use verify::Verify;
