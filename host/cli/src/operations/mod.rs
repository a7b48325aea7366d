//! What an operator sees of a server: metrics and probes on a listener of their own.

mod metrics;
mod process_facts;
mod state;

pub(crate) use metrics::ServerMetrics;
pub(crate) use process_facts::ProcessFacts;
pub(crate) use state::ServerOperations;
