//! The load generator, the requests that it sends, and how it reads responses.

mod call;
mod generator;
mod latencies;
mod request;
mod response_reader;

pub(crate) use call::{EchoCalls, TEXT, call, is_text, large_result, run_and_result};
pub(crate) use generator::{LoadGenerator, LoadMeasurement, Pacing, StopCondition, Workload};
pub(crate) use latencies::Latencies;
pub(crate) use request::{create, create_on, delete, each, post};
