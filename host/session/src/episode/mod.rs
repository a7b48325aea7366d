//! Episodes: a guest, the journal of what it was asked, and its replay.

pub(crate) mod episode_log;
pub(crate) mod guest;
pub(crate) mod journal_steps;
pub(crate) mod live_guest;
pub(crate) mod replay;
pub(crate) mod replay_report;
pub(crate) mod restore;
pub(crate) mod typed_request;
