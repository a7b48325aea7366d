//! Calls a second and latency without a journal and with each kind of it.
//!
//! Three loads: one session that calls as fast as it is answered; many that do,
//! so that the machine is full and only calls a second say something; and many
//! that have time between two calls, as agents do, where latency does.

use std::time::Duration;

use serde::Serialize;

use super::host::Host;
use super::{Plan, median};
use crate::echo::{self, Row, Sessions, Subject};
use crate::load::Pace;
use crate::request::{delete, each};
use crate::target::Target;

/// In this order everywhere.
const KINDS: [&str; 3] = ["none", "process", "power"];

/// Records of a call in the journal: what was asked, and what came of it.
const RECORDS: f64 = 2.0;

/// One kind of journal under one load: medians of the rounds, and the medians
/// of what each round says beside `none`.
#[derive(Clone, Debug, Serialize)]
struct Line {
    durability: &'static str,
    calls_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us_per_call: Option<f64>,
    records_per_second: f64,
    part_of_none: f64,
    p50_later_us: f64,
}

/// One load.
#[derive(Clone, Debug, Serialize)]
struct Load {
    what: String,
    rounds: Vec<Vec<Row>>,
    median: Vec<Line>,
}

/// What the three loads showed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    one: Load,
    many: Load,
    spaced: Load,
    /// Bytes of the database's log after all that, of `process` and `power`.
    log_bytes: [u64; 2],
}

impl Figures {
    /// How many of the calls a second without a journal `process` has, with
    /// many sessions at work.
    pub(super) fn process_part(&self) -> f64 {
        self.many.of_process(|line| line.part_of_none)
    }

    /// How much later half of the answers come where the machine is not full.
    pub(super) fn process_later_us(&self) -> [(&str, f64); 2] {
        [&self.one, &self.spaced]
            .map(|load| (&*load.what, load.of_process(|line| line.p50_later_us)))
    }
}

impl Load {
    fn of_process(&self, figure: fn(&Line) -> f64) -> f64 {
        let line = self.median.iter().find(|line| line.durability == "process");
        line.map_or(f64::NAN, figure)
    }
}

/// Measures.
pub(super) fn run(plan: &Plan, say: &mut dyn FnMut(&str)) -> Result<Figures, String> {
    let mut hosts = KINDS.map(|kind| Host::new().set("--durability", kind));
    let (mut servers, mut subjects) = (Vec::new(), Vec::new());
    for (host, kind) in hosts.iter_mut().zip(KINDS) {
        let (server, _) = host.alpha()?;
        subjects.push(Subject {
            target: Target::started(kind, server.base())?,
            pid: Some(server.pid()),
        });
        servers.push(server);
    }
    let gap = Duration::from_secs(1) * u32::try_from(plan.sessions).unwrap_or(u32::MAX)
        / plan.rate.max(1);
    let many = plan.sessions;
    let loads = [
        ("1 session".to_owned(), 1, Pace::AtOnce),
        (format!("{many} sessions"), many, Pace::AtOnce),
        (
            format!("{many} sessions, {} calls/s in all", plan.rate),
            many,
            Pace::Every(gap),
        ),
    ];
    let mut measured = Vec::new();
    for (what, sessions, pace) in loads {
        say(&format!("\n{what}"));
        measured.push(load(&subjects, what, sessions, pace, plan, say)?);
    }
    let [_, process, power] = hosts.map(|host| host.bytes().1);
    let mb = |bytes: u64| bytes as f64 / 1e6;
    say(&format!(
        "\nthe database's log after that: {:.1} MB for process, {:.1} MB for power",
        mb(process),
        mb(power)
    ));
    match <[Load; 3]>::try_from(measured) {
        Ok([one, many, spaced]) => Ok(Figures {
            one,
            many,
            spaced,
            log_bytes: [process, power],
        }),
        Err(_) => Err("a load is missing".to_owned()),
    }
}

fn load(
    subjects: &[Subject],
    what: String,
    sessions: usize,
    pace: Pace,
    plan: &Plan,
    say: &mut dyn FnMut(&str),
) -> Result<Load, String> {
    let mut open: Vec<Sessions> = Vec::new();
    for subject in subjects {
        open.push(echo::open(&subject.target, sessions)?);
    }
    say(&heading());
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        let mut rows: Vec<Row> = Vec::new();
        for (subject, sessions) in subjects.iter().zip(&mut open) {
            let name = &subject.target.name;
            let (row, error) = echo::round(subject, &mut sessions.calls, plan.time, pace)
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
    for (subject, sessions) in subjects.iter().zip(&open) {
        each(subject.target.address, 1, &sessions.ids, delete)?;
    }
    let median = lines(&rounds);
    for line in &median {
        say(&line.shown("median"));
    }
    Ok(Load {
        what,
        rounds,
        median,
    })
}

/// What these rounds come to.
fn lines(rounds: &[Vec<Row>]) -> Vec<Line> {
    let of = |index: usize, figure: &dyn Fn(&Row, &Row) -> f64| {
        let pairs = rounds
            .iter()
            .filter_map(|rows| Some((rows.get(index)?, rows.first()?)));
        median(pairs.map(|(row, none)| figure(row, none)).collect())
    };
    let numbered = KINDS.into_iter().enumerate();
    numbered
        .map(|(index, durability)| {
            let calls_per_second = of(index, &|row, _| row.calls_per_second);
            let kept = f64::from(u8::from(index > 0));
            let cpu = of(index, &|row, _| row.cpu_us_per_call.unwrap_or(f64::NAN));
            Line {
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

impl Line {
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
