//! What a guest can see and use.
//!
//! A guest starts with nothing: no files, no network except the requests that are
//! granted to it, no arguments, no
//! environment variables, no standard input. Its clock and its random numbers
//! are derived from the session's determinism settings. This crate builds the
//! host side of the few interfaces that are granted, and enforces their limits.
//! It knows wasmtime's store and linker, but neither sessions nor HTTP.

mod config;
mod data;
mod grants;
mod host_memory;
mod http;
mod memory;
mod meter;
mod output;
mod random;
mod state;
mod time;

pub use config::{InstanceConfig, InstanceLabel};
pub use data::dir::{DataDir, DataDirError};
pub use data::private::PrivatePlaces;
pub use data::rules::{DataRefusal, DataRules};
pub use grants::{Grant, grant_of, link};
pub use host_memory::HostMemory;
pub use http::{ExchangeToRecord, HttpFault, HttpMode, LiveHttp, NetworkAccess};
pub use memory::{HostOutOfMemory, MAX_CORE_INSTANCES, MemoryRefusal};
pub use meter::CpuMeter;
pub use orwd_overlay::QuotaRefusal;
pub use output::rate::set_guest_log_rate;
pub use random::RandomRequestTooLarge;
pub use state::{GuestState, PublishableFiles};
pub use time::clock::{SessionClock, SleepExceedsBudget};
