//! `bench echo`: how many calls of `echo` a server answers in a second.
//!
//! Several servers take turns in rounds of one run, so that whatever else the
//! machine does meets all of them, and a ratio is one of two figures that were
//! taken seconds apart.

use std::time::Duration;

use serde::Serialize;

use crate::call::{Echo, TEXT};
use crate::load::{Lines, Measured, Pace, Until, Work};
use crate::process::{cpu_time, load_average};
use crate::request::{create, delete, each};
use crate::target::Target;

/// How the load is shaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections, each with a session of its own.
    pub(crate) connections: usize,
    /// How long each server is asked in a round.
    pub(crate) time: Duration,
    /// How many rounds.
    pub(crate) rounds: u32,
}

/// A server and, if it is known, its process.
pub(crate) struct Subject {
    /// The server.
    pub(crate) target: Target,
    /// Its process, for the processor time that it uses.
    pub(crate) pid: Option<u32>,
}

/// What one server did in one round, or in the median.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    server: String,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
    /// Processor time of the server for each call.
    pub(crate) cpu_us_per_call: Option<f64>,
    /// How many times this server's calls a second the first server had.
    first_is_times: Option<f64>,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    text_bytes: usize,
    connections: usize,
    seconds_per_round: f64,
    /// Of the load generator, and of a server that was started here.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    rounds: Vec<Vec<Row>>,
    median: Vec<Row>,
}

impl Report {
    /// The least of the ratios of the median.
    pub(crate) fn least_ratio(&self) -> Option<f64> {
        let ratios = self.median.iter().filter_map(|row| row.first_is_times);
        ratios.min_by(f64::total_cmp)
    }
}

/// The sessions on one server.
pub(crate) struct Sessions {
    pub(crate) ids: Vec<String>,
    pub(crate) calls: Vec<Echo>,
}

impl Work for Vec<Echo> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        self[connection].next(request);
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        self[connection].check(status, body)
    }
}

/// One call on each connection.
struct Once<'a>(&'a mut Vec<Echo>, Vec<bool>);

impl Work for Once<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        !std::mem::replace(&mut self.1[connection], true) && self.0.next(connection, request)
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        self.0.check(connection, status, body)
    }
}

/// Measures; `say` hears of each line as soon as it is known.
pub(crate) fn run(
    subjects: &[Subject],
    plan: Plan,
    mut say: impl FnMut(&str),
) -> Result<Report, String> {
    let load_before = load_average();
    say(&format!(
        "echo of {TEXT} bytes, {} connections, {} rounds of {:?} each; load {}",
        plan.connections,
        plan.rounds,
        plan.time,
        load_before.map_or("unknown".to_owned(), |load| load.to_string()),
    ));
    let mut sessions = Vec::new();
    for subject in subjects {
        sessions.push(open(&subject.target, plan.connections)?);
    }
    say(&heading());
    let rounds = rounds(subjects, &mut sessions, plan, &mut say);
    for (subject, sessions) in subjects.iter().zip(&sessions) {
        let deleted = each(subject.target.address, 1, &sessions.ids, delete);
        // What went wrong before matters more.
        if rounds.is_ok() {
            deleted.map_err(|error| format!("{}: /delete: {error}", subject.target.name))?;
        }
    }
    let rounds = rounds?;
    let median = median(&rounds);
    for row in &median {
        say(&line("median", row));
    }
    Ok(Report {
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
pub(crate) fn open(target: &Target, count: usize) -> Result<Sessions, String> {
    let ids: Vec<String> = (0..count).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(target.address, 1, &ids, create)
        .map_err(|error| format!("{}: /create: {error}", target.name))?;
    let calls = ids.iter().map(|id| Echo::new(target.address, id)).collect();
    Ok(Sessions { ids, calls })
}

fn rounds(
    subjects: &[Subject],
    sessions: &mut [Sessions],
    plan: Plan,
    say: &mut impl FnMut(&str),
) -> Result<Vec<Vec<Row>>, String> {
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        let mut rows: Vec<Row> = Vec::new();
        for (subject, sessions) in subjects.iter().zip(sessions.iter_mut()) {
            let name = &subject.target.name;
            let (mut row, error) = round(subject, &mut sessions.calls, plan.time, Pace::AtOnce)
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

/// One server's turn: connections that are new, so that none is too old by
/// now, one call on each that does not count, and then the time.
pub(crate) fn round(
    subject: &Subject,
    calls: &mut Vec<Echo>,
    time: Duration,
    pace: Pace,
) -> Result<(Row, Option<String>), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut lines = Lines::open(subject.target.address, calls.len()).map_err(io)?;
    let asked = vec![false; calls.len()];
    let mut once = Once(calls, asked);
    lines.run(&mut once, Until::Done).map_err(io)?.whole()?;
    let cpu = |pid: Option<u32>| pid.map(cpu_time).transpose();
    let before = cpu(subject.pid)?;
    let until = Until::Elapsed(time);
    let measured = lines.run_at(pace, calls, until).map_err(io)?;
    let used = cpu(subject.pid)?
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok((
        row(&subject.target.name, &measured, used),
        measured.first_error,
    ))
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
fn row(server: &str, measured: &Measured, cpu: Option<Duration>) -> Row {
    let count = measured.latencies.count() as f64;
    let quantile = |share| measured.latencies.quantile(share).map_or(f64::NAN, micros);
    Row {
        server: server.to_owned(),
        calls_per_second: count / measured.elapsed.as_secs_f64(),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        errors: measured.errors,
        cpu_us_per_call: cpu.map(|cpu| micros(cpu) / count),
        first_is_times: None,
    }
}

/// A time in microseconds.
#[allow(clippy::cast_precision_loss, reason = "no run lasts that long")]
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// Each figure's median over the rounds; that of the ratios is the median of
/// the rounds' ratios.
fn median(rounds: &[Vec<Row>]) -> Vec<Row> {
    let first = rounds.first().map_or(&[][..], Vec::as_slice);
    let of = |index: usize, figure: &dyn Fn(&Row) -> Option<f64>| {
        let mut figures: Vec<f64> = rounds
            .iter()
            .filter_map(|rows| rows.get(index).and_then(figure))
            .collect();
        figures.sort_by(f64::total_cmp);
        middle(&figures)
    };
    first
        .iter()
        .enumerate()
        .map(|(index, row)| Row {
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

/// The middle of sorted figures; between the two middle ones if they are even.
pub(crate) fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        1 => Some(*upper),
        _ => Some(f64::midpoint(sorted[sorted.len() / 2 - 1], *upper)),
    }
}

fn heading() -> String {
    format!(
        "{:<7} {:<12} {:>10} {:>9} {:>9} {:>7} {:>12} {:>13}",
        "round", "server", "calls/s", "p50 ms", "p99 ms", "errors", "CPU us/call", "first is"
    )
}

fn line(round: &str, row: &Row) -> String {
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
    use super::{Row, median, middle};

    #[test]
    fn the_middle() {
        for (figures, expected) in [
            (&[][..], None),
            (&[1.0][..], Some(1.0)),
            (&[1.0, 2.0][..], Some(1.5)),
            (&[1.0, 2.0, 9.0][..], Some(2.0)),
        ] {
            assert_eq!(middle(figures), expected);
        }
    }

    #[test]
    fn the_median_is_taken_server_by_server() {
        let row = |server: &str, calls_per_second, ratio| Row {
            server: server.to_owned(),
            calls_per_second,
            p50_us: 1.0,
            p99_us: 2.0,
            errors: 0,
            cpu_us_per_call: None,
            first_is_times: ratio,
        };
        let rounds = [(100.0, 1.0), (300.0, 4.0), (200.0, 1.0)]
            .map(|(a, b)| vec![row("a", a, None), row("b", b, Some(a / b))]);
        let median = median(&rounds);
        assert_eq!(median[0].calls_per_second, 200.0);
        assert_eq!(median[0].first_is_times, None);
        assert_eq!(median[1].calls_per_second, 1.0);
        assert_eq!(median[1].first_is_times, Some(100.0));
    }
}
