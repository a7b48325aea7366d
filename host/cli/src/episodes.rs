//! Commands for journaled episodes: replay, export, import, verification.

mod diff;
mod export;
mod import;
mod live_requests;
pub(crate) mod lookup;
mod replay;
mod replay_runner;
pub(crate) mod state_dir;
mod verify;

pub(crate) use export::Export;
pub(crate) use import::Import;
pub(crate) use replay::Replay;
pub(crate) use verify::Verify;
