//! Metrics that are counted on the path of a call, for a registry of
//! `prometheus-client`.
//!
//! Counting takes a few atomic additions: no lock, no allocation, no look-up of a
//! label. Times are counted in nanoseconds and shown in seconds.

mod duration_histogram;
mod seconds_counter;
mod status_counter;
mod units;

pub use duration_histogram::DurationHistogram;
pub use seconds_counter::SecondsCounter;
pub use status_counter::StatusCounter;
