//! What a run of the benchmark does.

use std::time::Duration;

/// The parameters of the run.
#[derive(Clone, Debug)]
pub(crate) struct DurabilityPlan {
    /// The load on each server per round.
    pub(crate) time: Duration,
    /// The number of rounds.
    pub(crate) rounds: u32,
    /// The number of concurrent sessions.
    pub(crate) sessions: usize,
    /// The total calls per second of the paced load.
    pub(crate) rate: u32,
    /// The numbers of journaled calls of the resumed sessions.
    pub(crate) lengths: Vec<u64>,
    /// The number of sessions that share a few session slots.
    pub(crate) sleepers: usize,
}
