//! `bench durable`: what it costs that sessions outlive the server, and what
//! it takes to bring them back.
//!
//! The same binary is started without a journal and with each kind, and they
//! take turns in the rounds of one run. What comes after, resuming, forking,
//! sleeping, is measured on hosts of its own. Each answer is judged: a session
//! that comes back as another, or a call too early or too late, fails the run.

mod counted;
mod disk;
mod fork;
mod host;
mod pace;
mod resume;
mod sleep;

use std::time::Duration;

use serde::Serialize;

use crate::process::load_average;

/// The least part of the calls a second without a journal that `process` has to
/// have, where many sessions are at work.
const PART: f64 = 0.5;

/// How much later half of the answers may come for it, in microseconds.
const LATER_US: f64 = 300.0;

/// How much is asked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How long each server is asked in a round.
    pub(crate) time: Duration,
    /// How many rounds.
    pub(crate) rounds: u32,
    /// Sessions where many are at work at once.
    pub(crate) sessions: usize,
    /// Calls a second of all of them where they have time between two.
    pub(crate) rate: u32,
    /// Lengths of the sessions that are resumed.
    pub(crate) lengths: Vec<u64>,
    /// Sessions that share a host with room for a few of them.
    pub(crate) sleepers: usize,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    /// Of the load generator, and of the servers.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    pace: pace::Figures,
    resume: resume::Figures,
    fork: fork::Figures,
    sleep: sleep::Figures,
    disk: disk::Figures,
}

/// Measures; `say` hears of each line as soon as it is known.
pub(crate) fn run(plan: &Plan, mut say: impl FnMut(&str)) -> Result<Report, String> {
    let say: &mut dyn FnMut(&str) = &mut say;
    let load_before = load_average();
    say(&format!(
        "load {}",
        load_before.map_or("unknown".to_owned(), |load| load.to_string())
    ));
    let pace = pace::run(plan, say).map_err(|error| format!("pace: {error}"))?;
    let resume = resume::run(&plan.lengths, say).map_err(|error| format!("resume: {error}"))?;
    let fork = fork::run(plan.rounds, say).map_err(|error| format!("fork: {error}"))?;
    let sleep = sleep::run(plan.sleepers, say).map_err(|error| format!("sleep: {error}"))?;
    let disk = disk::run(say).map_err(|error| format!("disk: {error}"))?;
    Ok(Report {
        bench: "durable",
        optimised: !cfg!(debug_assertions),
        load_before,
        load_after: load_average(),
        pace,
        resume,
        fork,
        sleep,
        disk,
    })
}

impl Report {
    /// Which bounds were not met, each in a sentence.
    pub(crate) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let part = self.pace.process_part();
        // What is no number meets no bound.
        if part.is_nan() || part < PART {
            missed.push(format!(
                "`process` has {part:.2} of the calls without a journal, and {PART} are wanted"
            ));
        }
        for (what, later) in self.pace.process_later_us() {
            if later.is_nan() || later > LATER_US {
                missed.push(format!(
                    "`process` answers {later:.0} us later at {what}, and {LATER_US} are allowed"
                ));
            }
        }
        missed
    }
}

/// A time in milliseconds.
fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The middle of figures in any order.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    crate::echo::middle(&figures).unwrap_or(f64::NAN)
}
