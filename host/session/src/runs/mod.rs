//! Runs: tool calls and scorings whose results can be fetched again.

pub(crate) mod idempotency;
pub(crate) mod recorded_runs;
pub(crate) mod result_memory;
pub(crate) mod result_room;
pub(crate) mod run;
pub(crate) mod run_cache;
pub(crate) mod run_id;
