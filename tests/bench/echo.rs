//! `bench echo`: calls of `echo` per second.
//!
//! Several servers take turns in the rounds of one run, so that other load on the
//! machine affects all of them, and a ratio compares figures that were measured
//! seconds apart.

use std::time::Duration;

use serde::Serialize;

use crate::load::{
    EchoCalls, LoadGenerator, LoadMeasurement, Pacing, StopCondition, TEXT, Workload, create,
    delete, each,
};
use crate::process::{cpu_time, load_average};
use crate::servers::BenchTarget;
use crate::statistics::{median, micros};

/// The parameters of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EchoPlan {
    /// Connections, each with its own session.
    pub(crate) connections: usize,
    /// The load on each server per round.
    pub(crate) time: Duration,
    /// The number of rounds.
    pub(crate) rounds: u32,
}

/// A server and, if it is known, its process.
pub(crate) struct MeasuredServer {
    /// The server.
    pub(crate) target: BenchTarget,
    /// Its process, to measure CPU time.
    pub(crate) pid: Option<u32>,
}

/// The figures of one server in one round, or the medians.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EchoRow {
    server: String,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
    /// CPU time of the server per call.
    pub(crate) cpu_us_per_call: Option<f64>,
    /// The ratio of the first server's calls per second to this server's.
    first_is_times: Option<f64>,
}

impl EchoRow {
    /// Creates a row without errors, CPU time and comparison.
    pub(crate) fn new(server: &str, calls_per_second: f64, p50_us: f64, p99_us: f64) -> EchoRow {
        EchoRow {
            server: server.to_owned(),
            calls_per_second,
            p50_us,
            p99_us,
            errors: 0,
            cpu_us_per_call: None,
            first_is_times: None,
        }
    }

    /// Returns the name of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct EchoReport {
    bench: &'static str,
    text_bytes: usize,
    connections: usize,
    seconds_per_round: f64,
    /// Whether the load generator, and a server started by it, are optimised.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    rounds: Vec<Vec<EchoRow>>,
    median: Vec<EchoRow>,
}

impl EchoReport {
    /// Returns the figures of each round.
    pub(crate) fn rounds(&self) -> &[Vec<EchoRow>] {
        &self.rounds
    }

    /// Returns the smallest ratio of the medians.
    pub(crate) fn least_ratio(&self) -> Option<f64> {
        let ratios = self.median.iter().filter_map(|row| row.first_is_times);
        ratios.min_by(f64::total_cmp)
    }
}

/// The sessions on one server.
pub(crate) struct EchoSessions {
    pub(crate) ids: Vec<String>,
    pub(crate) calls: Vec<EchoCalls>,
}

impl Workload for Vec<EchoCalls> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        self[connection].next(request);
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        self[connection].check(status, body)
    }
}

/// One warm-up call on each connection.
struct WarmUp<'a>(&'a mut Vec<EchoCalls>, Vec<bool>);

impl Workload for WarmUp<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        !std::mem::replace(&mut self.1[connection], true) && self.0.next(connection, request)
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        self.0.check(connection, status, body)
    }
}

/// Measures, and passes each line of output to `say`.
pub(crate) fn run(
    servers: &[MeasuredServer],
    plan: EchoPlan,
    mut say: impl FnMut(&str),
) -> Result<EchoReport, String> {
    let load_before = load_average();
    say(&format!(
        "echo of {TEXT} bytes, {} connections, {} rounds of {:?} each; load {}",
        plan.connections,
        plan.rounds,
        plan.time,
        load_before.map_or("unknown".to_owned(), |load| load.to_string()),
    ));
    let mut sessions = Vec::new();
    for server in servers {
        sessions.push(open(&server.target, plan.connections)?);
    }
    say(&heading());
    let rounds = rounds(servers, &mut sessions, plan, &mut say);
    for (server, sessions) in servers.iter().zip(&sessions) {
        let deleted = each(server.target.address, 1, &sessions.ids, delete);
        // An earlier error is more important.
        if rounds.is_ok() {
            deleted.map_err(|error| format!("{}: /delete: {error}", server.target.name))?;
        }
    }
    let rounds = rounds?;
    let median = medians(&rounds);
    for row in &median {
        say(&line("median", row));
    }
    Ok(EchoReport {
        bench: "echo",
        text_bytes: TEXT,
        connections: plan.connections,
        seconds_per_round: plan.time.as_secs_f64(),
        optimised: !cfg!(debug_assertions),
        load_before,
        load_after: load_average(),
        rounds,
        median,
    })
}

/// Opens sessions.
pub(crate) fn open(target: &BenchTarget, count: usize) -> Result<EchoSessions, String> {
    let ids: Vec<String> = (0..count).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(target.address, 1, &ids, create)
        .map_err(|error| format!("{}: /create: {error}", target.name))?;
    let calls = ids
        .iter()
        .map(|id| EchoCalls::new(target.address, id))
        .collect();
    Ok(EchoSessions { ids, calls })
}

fn rounds(
    servers: &[MeasuredServer],
    sessions: &mut [EchoSessions],
    plan: EchoPlan,
    say: &mut impl FnMut(&str),
) -> Result<Vec<Vec<EchoRow>>, String> {
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        let mut rows: Vec<EchoRow> = Vec::new();
        for (server, sessions) in servers.iter().zip(sessions.iter_mut()) {
            let name = &server.target.name;
            let (mut row, error) = round(server, &mut sessions.calls, plan.time, Pacing::Immediate)
                .map_err(|e| format!("{name}: {e}"))?;
            row.first_is_times = rows
                .first()
                .map(|first| first.calls_per_second / row.calls_per_second);
            say(&line(&number.to_string(), &row));
            if let Some(error) = error {
                return Err(format!("{name}: {} errors, the first: {error}", row.errors));
            }
            rows.push(row);
        }
        rounds.push(rows);
    }
    Ok(rounds)
}

/// One turn of a server: opens new connections, makes a warm-up call on each, and
/// then measures.
pub(crate) fn round(
    server: &MeasuredServer,
    calls: &mut Vec<EchoCalls>,
    time: Duration,
    pace: Pacing,
) -> Result<(EchoRow, Option<String>), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut lines = LoadGenerator::open(server.target.address, calls.len()).map_err(io)?;
    let asked = vec![false; calls.len()];
    let mut once = WarmUp(calls, asked);
    lines
        .run(&mut once, StopCondition::Done)
        .map_err(io)?
        .without_errors()?;
    let cpu = |pid: Option<u32>| pid.map(cpu_time).transpose();
    let before = cpu(server.pid)?;
    let until = StopCondition::Elapsed(time);
    let measured = lines.run_at(pace, calls, until).map_err(io)?;
    let used = cpu(server.pid)?
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok((
        row(&server.target.name, &measured, used),
        measured.first_error,
    ))
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
fn row(server: &str, measured: &LoadMeasurement, cpu: Option<Duration>) -> EchoRow {
    let count = measured.latencies.count() as f64;
    let (p50, p99) = (
        measured.latencies.quantile_us(0.5),
        measured.latencies.quantile_us(0.99),
    );
    EchoRow {
        errors: measured.errors,
        cpu_us_per_call: cpu.map(|cpu| micros(cpu) / count),
        ..EchoRow::new(server, count / measured.elapsed.as_secs_f64(), p50, p99)
    }
}

/// Returns the median of each figure over the rounds; the ratio is the median of
/// the rounds' ratios.
fn medians(rounds: &[Vec<EchoRow>]) -> Vec<EchoRow> {
    let first = rounds.first().map_or(&[][..], Vec::as_slice);
    let of = |index: usize, figure: &dyn Fn(&EchoRow) -> Option<f64>| {
        let figures = rounds
            .iter()
            .filter_map(|rows| rows.get(index).and_then(figure))
            .collect();
        median(figures)
    };
    first
        .iter()
        .enumerate()
        .map(|(index, row)| EchoRow {
            server: row.server.clone(),
            calls_per_second: of(index, &|r| Some(r.calls_per_second)).unwrap_or(f64::NAN),
            p50_us: of(index, &|r| Some(r.p50_us)).unwrap_or(f64::NAN),
            p99_us: of(index, &|r| Some(r.p99_us)).unwrap_or(f64::NAN),
            errors: rounds
                .iter()
                .filter_map(|r| r.get(index))
                .map(|r| r.errors)
                .sum(),
            cpu_us_per_call: of(index, &|r| r.cpu_us_per_call),
            first_is_times: of(index, &|r| r.first_is_times),
        })
        .collect()
}

fn heading() -> String {
    format!(
        "{:<7} {:<12} {:>10} {:>9} {:>9} {:>7} {:>12} {:>13}",
        "round", "server", "calls/s", "p50 ms", "p99 ms", "errors", "CPU us/call", "first is"
    )
}

fn line(round: &str, row: &EchoRow) -> String {
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    format!(
        "{round:<7} {:<12} {:>10.0} {:>9.3} {:>9.3} {:>7} {:>12} {:>13}",
        row.server,
        row.calls_per_second,
        row.p50_us / 1e3,
        row.p99_us / 1e3,
        row.errors,
        or_dash(row.cpu_us_per_call.map(|cpu| format!("{cpu:.1}"))),
        or_dash(row.first_is_times.map(|ratio| format!("{ratio:.1} times"))),
    )
}

#[cfg(test)]
mod tests {
    use super::{EchoRow, medians};

    #[test]
    fn the_median_is_taken_server_by_server() {
        let row = |server: &str, calls_per_second, ratio| EchoRow {
            first_is_times: ratio,
            ..EchoRow::new(server, calls_per_second, 1.0, 2.0)
        };
        let rounds = [(100.0, 1.0), (300.0, 4.0), (200.0, 1.0)]
            .map(|(a, b)| vec![row("a", a, None), row("b", b, Some(a / b))]);
        let median = medians(&rounds);
        assert_eq!(median[0].calls_per_second, 200.0);
        assert_eq!(median[0].first_is_times, None);
        assert_eq!(median[1].calls_per_second, 1.0);
        assert_eq!(median[1].first_is_times, Some(100.0));
    }
}
