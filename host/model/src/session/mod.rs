//! Settings of a session: determinism, data mode and secrets.

mod data_mode;
mod determinism;
mod disk_budget;
mod secret;
mod seed;
mod timestamp;

pub use data_mode::{DataMode, OnConflict, PublishRules};
pub use determinism::{ClockMode, DeterminismConfig, SleepMode};
pub use disk_budget::DiskBudget;
pub use secret::{Secret, Secrets};
pub use seed::{InvalidSeed, Seed};
pub use timestamp::Timestamp;
