//! The servers that are measured.

mod bare;
mod reference;
mod stock;
mod target;

pub(crate) use bare::BareServer;
pub(crate) use reference::ReferenceServer;
pub(crate) use stock::StockSession;
pub(crate) use target::{BenchTarget, NamedPid};
