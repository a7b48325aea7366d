//! Accepts connections and serves their requests.

pub(crate) mod config;
pub(crate) mod listener;
pub(crate) mod metrics;
pub(crate) mod operations;
mod refusals;
mod service;
