//! `bench durable`: the cost of the journal, of resuming, forking and hibernating.
//!
//! The same binary is started with each durability, and the servers take turns in
//! the rounds of one run. Resuming, forking and hibernating are measured on
//! servers of their own. Every response is checked: a session with a wrong state,
//! or a lost or repeated call, fails the run.

mod bench_server;
mod counted_sessions;
mod disk;
mod fork;
mod hibernation;
pub(crate) mod plan;
mod resume;
mod throughput;

use serde::Serialize;

use self::plan::DurabilityPlan;
use crate::process::load_average;

/// The minimum of the calls per second with `process`, as a fraction of those
/// without a journal, with many concurrent sessions.
const MIN_FRACTION: f64 = 0.5;

/// The maximum increase of its median latency, in microseconds.
const MAX_DELAY_US: f64 = 300.0;

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct DurabilityReport {
    bench: &'static str,
    /// Whether the load generator and the servers are optimised.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    throughput: throughput::ThroughputFigures,
    resume: resume::ResumeFigures,
    fork: fork::ForkFigures,
    hibernation: hibernation::HibernationFigures,
    disk: disk::DiskFigures,
}

/// Measures, and passes each line of output to `say`.
pub(crate) fn run(
    plan: &DurabilityPlan,
    mut say: impl FnMut(&str),
) -> Result<DurabilityReport, String> {
    let say: &mut dyn FnMut(&str) = &mut say;
    let load_before = load_average();
    say(&format!(
        "load {}",
        load_before.map_or("unknown".to_owned(), |load| load.to_string())
    ));
    let throughput = throughput::run(plan, say).map_err(|error| format!("pace: {error}"))?;
    let resume = resume::run(&plan.lengths, say).map_err(|error| format!("resume: {error}"))?;
    let fork = fork::run(plan.rounds, say).map_err(|error| format!("fork: {error}"))?;
    let hibernation =
        hibernation::run(plan.sleepers, say).map_err(|error| format!("sleep: {error}"))?;
    let disk = disk::run(say).map_err(|error| format!("disk: {error}"))?;
    Ok(DurabilityReport {
        bench: "durable",
        optimised: !cfg!(debug_assertions),
        load_before,
        load_after: load_average(),
        throughput,
        resume,
        fork,
        hibernation,
        disk,
    })
}

impl DurabilityReport {
    /// Returns the missed bounds, each as a sentence.
    pub(crate) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let part = self.throughput.process_part();
        // NaN meets no bound.
        if part.is_nan() || part < MIN_FRACTION {
            missed.push(format!(
                "`process` has {part:.2} of the calls without a journal, less than {MIN_FRACTION}"
            ));
        }
        for (what, later) in self.throughput.process_later_us() {
            if later.is_nan() || later > MAX_DELAY_US {
                missed.push(format!(
                    "`process` adds {later:.0} us of latency with {what}, more than {MAX_DELAY_US}"
                ));
            }
        }
        missed
    }
}
