//! `bench all`: orwd with each durability, bare HTTP servers and the reference, in
//! the rounds of one run, and the bars that orwd is to clear.

use serde::Serialize;

use crate::echo::{EchoPlan, EchoReport, EchoRow, MeasuredServer};
use crate::first_calls::{self, FirstCallRow};
use crate::large_results::{self, LargeCallPlan, LargeResultRow};
use crate::statistics::median;

/// The names of the servers in a run.
pub(crate) const DEFAULT: &str = "process";
pub(crate) const NONE: &str = "none";
pub(crate) const POWER: &str = "power";
pub(crate) const BARE: &str = "bare";
pub(crate) const BARE_TWO: &str = "bare-2";
pub(crate) const REFERENCE: &str = "reference";

/// Sessions that each server creates in a round, to measure their first calls.
const SESSIONS: usize = 2000;

/// Calls with large results, of which the CPU time is compared.
const LARGE: LargeCallPlan = LargeCallPlan {
    bytes: 100_000,
    calls: 300,
};

/// Calls with larger results, of which the latency is compared.
const LARGER: LargeCallPlan = LargeCallPlan {
    bytes: 900_000,
    calls: 30,
};

/// A ratio within a run, and what it must not exceed, or fall below.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bar {
    name: &'static str,
    value: f64,
    bar: f64,
    goal: f64,
    ok: bool,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct AllReport {
    bench: &'static str,
    echo: EchoReport,
    first_calls: Vec<Vec<FirstCallRow>>,
    large_results: [Vec<Vec<LargeResultRow>>; 2],
    bars: Vec<Bar>,
}

impl AllReport {
    /// Returns the bars that were missed.
    pub(crate) fn missed(&self) -> Vec<String> {
        let missed = self.bars.iter().filter(|bar| !bar.ok);
        missed
            .map(|bar| format!("{}: {:.2}, and the bar is {}", bar.name, bar.value, bar.bar))
            .collect()
    }
}

/// Measures all servers in turns.
pub(crate) fn run(
    servers: &[MeasuredServer],
    plan: EchoPlan,
    mut say: impl FnMut(&str),
) -> Result<AllReport, String> {
    let echo = crate::echo::run(servers, plan, &mut say)?;
    let mut first_calls = Vec::new();
    for _ in 0..plan.rounds {
        let rows = servers.iter().map(|server| {
            let row = first_calls::round(server, SESSIONS);
            row.map_err(|error| format!("{}: {error}", server.target.name))
        });
        first_calls.push(rows.collect::<Result<Vec<_>, String>>()?);
    }
    let mut large_results = [Vec::new(), Vec::new()];
    for (rounds, calls) in large_results.iter_mut().zip([LARGE, LARGER]) {
        for _ in 0..plan.rounds {
            let rows = servers.iter().map(|server| {
                let row = large_results::round(server, calls);
                row.map_err(|error| format!("{}: {error}", server.target.name))
            });
            rounds.push(rows.collect::<Result<Vec<_>, String>>()?);
        }
    }
    let bars = bars(echo.rounds(), &first_calls, &large_results);
    say(&format!(
        "\n{:<52} {:>8} {:>8} {:>8}",
        "ratio", "value", "bar", "goal"
    ));
    for bar in &bars {
        let verdict = if bar.ok { "" } else { "  missed" };
        say(&format!(
            "{:<52} {:>8.2} {:>8} {:>8}{verdict}",
            bar.name, bar.value, bar.bar, bar.goal
        ));
    }
    Ok(AllReport {
        bench: "all",
        echo,
        first_calls,
        large_results,
        bars,
    })
}

/// Returns the bars for the servers that are in the run.
fn bars(
    rounds: &[Vec<EchoRow>],
    first_calls: &[Vec<FirstCallRow>],
    [large, larger]: &[Vec<Vec<LargeResultRow>>; 2],
) -> Vec<Bar> {
    let at_most = |name, value: Option<f64>, bar, goal| {
        value.map(|value| Bar {
            name,
            value,
            bar,
            goal,
            ok: value <= bar,
        })
    };
    let at_least = |name, value: Option<f64>, bar, goal| {
        value.map(|value| Bar {
            name,
            value,
            bar,
            goal,
            ok: value >= bar,
        })
    };
    let echo = |of, over, figure: fn(&EchoRow) -> Option<f64>| {
        ratio(rounds, of, over, EchoRow::server, figure)
    };
    let cpu = |of, over| echo(of, over, |row| row.cpu_us_per_call);
    let bars = [
        at_most(
            "CPU of a call, none, over bare HTTP in one write",
            cpu(NONE, BARE),
            2.0,
            1.5,
        ),
        at_most(
            "CPU of a call, default, over the same",
            cpu(DEFAULT, BARE),
            2.75,
            2.0,
        ),
        at_most(
            "p99 of a call, default, over the same",
            echo(DEFAULT, BARE, |row| Some(row.p99_us)),
            2.5,
            1.5,
        ),
        at_least(
            "calls per second, default, over the reference",
            echo(DEFAULT, REFERENCE, |row| Some(row.calls_per_second)),
            80.0,
            150.0,
        ),
        at_most(
            "CPU of a creation and a call, default, over bare HTTP",
            ratio(
                first_calls,
                DEFAULT,
                BARE,
                |row| &row.server,
                |row| row.cpu_us_per_session,
            ),
            4.0,
            2.0,
        ),
        at_most(
            "CPU of a call with a result of 100 kB, default",
            ratio(
                large,
                DEFAULT,
                BARE,
                |row| &row.server,
                |row| row.cpu_us_per_call,
            ),
            4.0,
            2.0,
        ),
        at_most(
            "latency of a call with a result of 900 kB, default",
            ratio(
                larger,
                DEFAULT,
                BARE,
                |row| &row.server,
                |row| Some(row.p50_us),
            ),
            3.0,
            2.0,
        ),
    ];
    bars.into_iter().flatten().collect()
}

/// Returns the median over the rounds of the ratio of two servers' figures.
fn ratio<R>(
    rounds: &[Vec<R>],
    of: &str,
    over: &str,
    server: impl Fn(&R) -> &str,
    figure: impl Fn(&R) -> Option<f64>,
) -> Option<f64> {
    let ratios = rounds.iter().filter_map(|rows| {
        let find = |name: &str| rows.iter().find(|row| server(row) == name);
        Some(figure(find(of)?)? / figure(find(over)?)?)
    });
    median(ratios.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row with this much CPU time per call.
    fn row(server: &str, cpu: f64) -> EchoRow {
        let mut row = EchoRow::new(server, 1000.0, 1.0, 2.0);
        row.cpu_us_per_call = Some(cpu);
        row
    }

    #[test]
    fn a_bar_is_the_median_of_the_ratios_within_each_round() {
        // The machine is slow in the second round.
        let rounds = [(20.0, 10.0), (90.0, 30.0), (40.0, 10.0)]
            .map(|(none, bare)| vec![row(NONE, none), row(BARE, bare)]);
        let bars = bars(&rounds, &[], &[Vec::new(), Vec::new()]);
        assert_eq!(bars.len(), 1, "what is not in the run has no bar");
        assert_eq!((bars[0].value, bars[0].ok), (3.0, false));
    }
}
