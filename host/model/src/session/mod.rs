//! A session: its determinism, data mode, secrets and HTTP requests.

mod data_mode;
mod determinism;
mod disk_budget;
mod http_exchange;
mod memory_budget;
mod secret;
mod seed;
mod timestamp;

pub use data_mode::{DataMode, OnConflict, PublishRules};
pub use determinism::{ClockMode, DeterminismConfig, SleepMode};
pub use disk_budget::DiskBudget;
pub use http_exchange::{
    HttpError, HttpErrorCode, HttpExchange, HttpPort, HttpRequest, HttpResponse, HttpResult,
};
pub use memory_budget::{MemoryBudget, MemoryTurn, MemoryWait};
pub use secret::{PLACEHOLDER_END, Secret, Secrets};
pub use seed::{InvalidSeed, Seed};
pub use timestamp::Timestamp;
