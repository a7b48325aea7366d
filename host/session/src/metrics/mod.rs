//! What sessions count, for the operator.

pub(crate) mod counters;
pub(crate) mod gauges;
