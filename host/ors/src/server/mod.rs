//! Accepts connections and serves their requests.

pub(crate) mod config;
pub(crate) mod listener;
mod refusals;
mod service;
