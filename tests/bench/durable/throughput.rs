//! Calls per second and latency with each durability.
//!
//! Three loads: one session without pauses; many sessions without pauses, which
//! saturate the machine, so that only calls per second are meaningful; and many
//! sessions with pauses, as agents have them, which show latency.

use std::time::Duration;

use serde::Serialize;

use super::bench_server::BenchServer;
use super::plan::DurabilityPlan;
use crate::echo::{EchoRow, EchoSessions, MeasuredServer, open, round};
use crate::load::{Pacing, delete, each};
use crate::servers::BenchTarget;
use crate::statistics::median_or_nan;

/// The durabilities, in the order of all figures.
const KINDS: [&str; 3] = ["none", "process", "power"];

/// The journal records per call: the request and the outcome.
const RECORDS: f64 = 2.0;

/// One durability under one load: medians of the rounds, and medians of the
/// comparison with `none` in each round.
#[derive(Clone, Debug, Serialize)]
struct DurabilityRow {
    durability: &'static str,
    calls_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us_per_call: Option<f64>,
    records_per_second: f64,
    part_of_none: f64,
    p50_later_us: f64,
}

/// The results of one load.
#[derive(Clone, Debug, Serialize)]
struct LoadResult {
    what: String,
    rounds: Vec<Vec<EchoRow>>,
    median: Vec<DurabilityRow>,
}

/// The results of the three loads.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ThroughputFigures {
    one: LoadResult,
    many: LoadResult,
    spaced: LoadResult,
    /// The final size of the write-ahead log, with `process` and `power`.
    log_bytes: [u64; 2],
}

impl ThroughputFigures {
    /// Returns the calls per second with `process`, as a fraction of those without
    /// a journal, with many sessions.
    pub(super) fn process_part(&self) -> f64 {
        self.many.of_process(|line| line.part_of_none)
    }

    /// Returns the increase of the median latency with `process` under the loads
    /// that do not saturate the machine.
    pub(super) fn process_later_us(&self) -> [(&str, f64); 2] {
        [&self.one, &self.spaced]
            .map(|load| (&*load.what, load.of_process(|line| line.p50_later_us)))
    }
}

impl LoadResult {
    fn of_process(&self, figure: fn(&DurabilityRow) -> f64) -> f64 {
        let line = self.median.iter().find(|line| line.durability == "process");
        line.map_or(f64::NAN, figure)
    }
}

/// Measures the three loads.
pub(super) fn run(
    plan: &DurabilityPlan,
    say: &mut dyn FnMut(&str),
) -> Result<ThroughputFigures, String> {
    let mut hosts = KINDS.map(|kind| BenchServer::new().set("--durability", kind));
    let (mut servers, mut measured_servers) = (Vec::new(), Vec::new());
    for (host, kind) in hosts.iter_mut().zip(KINDS) {
        let (server, _) = host.alpha()?;
        measured_servers.push(MeasuredServer {
            target: BenchTarget::started(kind, server.base())?,
            pid: Some(server.pid()),
        });
        servers.push(server);
    }
    let gap = Duration::from_secs(1) * u32::try_from(plan.sessions).unwrap_or(u32::MAX)
        / plan.rate.max(1);
    let many = plan.sessions;
    let loads = [
        ("1 session".to_owned(), 1, Pacing::Immediate),
        (format!("{many} sessions"), many, Pacing::Immediate),
        (
            format!("{many} sessions, {} calls/s in all", plan.rate),
            many,
            Pacing::Every(gap),
        ),
    ];
    let mut measured = Vec::new();
    for (what, sessions, pace) in loads {
        say(&format!("\n{what}"));
        measured.push(load(&measured_servers, what, sessions, pace, plan, say)?);
    }
    let [_, process, power] = hosts.map(|host| host.bytes().1);
    let mb = |bytes: u64| bytes as f64 / 1e6;
    say(&format!(
        "\nwrite-ahead log after that: {:.1} MB with process, {:.1} MB with power",
        mb(process),
        mb(power)
    ));
    match <[LoadResult; 3]>::try_from(measured) {
        Ok([one, many, spaced]) => Ok(ThroughputFigures {
            one,
            many,
            spaced,
            log_bytes: [process, power],
        }),
        Err(_) => Err("a load is missing".to_owned()),
    }
}

fn load(
    measured_servers: &[MeasuredServer],
    what: String,
    sessions: usize,
    pace: Pacing,
    plan: &DurabilityPlan,
    say: &mut dyn FnMut(&str),
) -> Result<LoadResult, String> {
    let mut opened: Vec<EchoSessions> = Vec::new();
    for measured_server in measured_servers {
        opened.push(open(&measured_server.target, sessions)?);
    }
    say(&heading());
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        let mut rows: Vec<EchoRow> = Vec::new();
        for (measured_server, sessions) in measured_servers.iter().zip(&mut opened) {
            let name = &measured_server.target.name;
            let (row, error) = round(measured_server, &mut sessions.calls, plan.time, pace)
                .map_err(|error| format!("{name}: {error}"))?;
            if let Some(error) = error {
                return Err(format!("{name}: {} errors, the first: {error}", row.errors));
            }
            rows.push(row);
        }
        for line in lines(std::slice::from_ref(&rows)) {
            say(&line.shown(&number.to_string()));
        }
        rounds.push(rows);
    }
    for (measured_server, sessions) in measured_servers.iter().zip(&opened) {
        each(measured_server.target.address, 1, &sessions.ids, delete)?;
    }
    let median = lines(&rounds);
    for line in &median {
        say(&line.shown("median"));
    }
    Ok(LoadResult {
        what,
        rounds,
        median,
    })
}

/// Computes the medians of rounds.
fn lines(rounds: &[Vec<EchoRow>]) -> Vec<DurabilityRow> {
    let of = |index: usize, figure: &dyn Fn(&EchoRow, &EchoRow) -> f64| {
        let pairs = rounds
            .iter()
            .filter_map(|rows| Some((rows.get(index)?, rows.first()?)));
        median_or_nan(pairs.map(|(row, none)| figure(row, none)).collect())
    };
    let numbered = KINDS.into_iter().enumerate();
    numbered
        .map(|(index, durability)| {
            let calls_per_second = of(index, &|row, _| row.calls_per_second);
            let kept = f64::from(u8::from(index > 0));
            let cpu = of(index, &|row, _| row.cpu_us_per_call.unwrap_or(f64::NAN));
            DurabilityRow {
                durability,
                calls_per_second,
                p50_us: of(index, &|row, _| row.p50_us),
                p99_us: of(index, &|row, _| row.p99_us),
                cpu_us_per_call: Some(cpu).filter(|cpu| cpu.is_finite()),
                records_per_second: calls_per_second * RECORDS * kept,
                part_of_none: of(index, &|row, none| {
                    row.calls_per_second / none.calls_per_second
                }),
                p50_later_us: of(index, &|row, none| row.p50_us - none.p50_us),
            }
        })
        .collect()
}

fn heading() -> String {
    format!(
        "{:<7} {:<8} {:>10} {:>10} {:>9} {:>9} {:>12} {:>13} {:>14}",
        "round",
        "journal",
        "calls/s",
        "records/s",
        "p50 ms",
        "p99 ms",
        "CPU us/call",
        "part of none",
        "p50 later, us"
    )
}

impl DurabilityRow {
    fn shown(&self, round: &str) -> String {
        format!(
            "{round:<7} {:<8} {:>10.0} {:>10.0} {:>9.3} {:>9.3} {:>12.1} {:>13.2} {:>14.0}",
            self.durability,
            self.calls_per_second,
            self.records_per_second,
            self.p50_us / 1e3,
            self.p99_us / 1e3,
            self.cpu_us_per_call.unwrap_or(f64::NAN),
            self.part_of_none,
            self.p50_later_us,
        )
    }
}
