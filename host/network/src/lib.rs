//! HTTP requests of guests.
//!
//! A guest reaches what its manifest asks for *and* its operator allows: the
//! [`NetworkGrant`] is the intersection of both lists of [`Rule`]s. The process that runs
//! guests gives up the network, so requests leave through the *broker*, a process
//! of its own that runs no guest. The two share a socket pair. The broker checks
//! each request against the rules, resolves the name, checks every address, and
//! connects to an address that it has checked. A second process, the *keeper*, starts the broker again when it ends.
//!
//! The crate knows neither sessions nor the engine.

mod broker;
mod http;
mod rules;
#[cfg(test)]
mod tests;

pub use broker::client::{Broker, BrokerPort};
pub use broker::config::{BrokerConfig, ConfigError};
pub use broker::keeper::keep;
pub use broker::server::{BrokerError, serve};
pub use rules::address::refusal;
pub use rules::grant::{NetworkGrant, OperatorRules};
pub use rules::rule::{InvalidRule, Rule};
