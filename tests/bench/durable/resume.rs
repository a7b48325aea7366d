//! The time to resume a session after a kill, by the number of its journaled
//! calls.

use std::time::Instant;

use serde::Serialize;

use super::bench_server::BenchServer;
use super::counted_sessions::CountedSessions;
use crate::load::{create, each};
use crate::statistics::{median_or_nan, millis};

/// The number of sessions of each length.
const EACH: usize = 5;

/// The figures of one length.
#[derive(Clone, Debug, Serialize)]
struct ResumeRow {
    calls: u64,
    /// From the first request to the complete response.
    first_answer_ms: f64,
    us_per_replayed_call: f64,
    /// The same for the next call.
    next_answer_ms: f64,
}

/// The figures of all lengths.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ResumeFigures {
    sessions: usize,
    /// From the start of the process until it listens.
    start_ms: f64,
    lines: Vec<ResumeRow>,
}

/// Measures the resumption.
pub(super) fn run(lengths: &[u64], say: &mut dyn FnMut(&str)) -> Result<ResumeFigures, String> {
    let mut host = BenchServer::new();
    let (mut server, address) = host.alpha()?;
    let mut groups = Vec::new();
    for length in lengths {
        let ids: Vec<String> = (0..EACH).map(|_| orwd_tests::ors::fresh_id()).collect();
        each(address, 1, &ids, create)?;
        let mut group = CountedSessions::new(ids);
        group.call_all(address, *length)?;
        groups.push((*length, group));
    }
    server.kill();
    let begun = Instant::now();
    let (_server, address) = host.alpha()?;
    let start_ms = millis(begun.elapsed());
    let sessions = groups.len() * EACH;
    say(&format!(
        "\nresumed after a kill, {EACH} sessions of each length; the server listens after \
         {start_ms:.0} ms, with {sessions} sessions in its journal"
    ));
    say(&format!(
        "{:>7} {:>17} {:>25} {:>16}",
        "calls", "first answer, ms", "us per replayed call", "next answer, ms"
    ));
    let mut lines = Vec::new();
    for (calls, mut group) in groups {
        let (mut first, mut next) = (Vec::new(), Vec::new());
        for session in 0..EACH {
            first.push(millis(group.call_one(address, session)?.elapsed));
            next.push(millis(group.call_one(address, session)?.elapsed));
        }
        let first_answer_ms = median_or_nan(first);
        #[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
        let line = ResumeRow {
            calls,
            first_answer_ms,
            us_per_replayed_call: first_answer_ms * 1e3 / calls.max(1) as f64,
            next_answer_ms: median_or_nan(next),
        };
        say(&format!(
            "{:>7} {:>17.2} {:>25.1} {:>16.2}",
            line.calls, line.first_answer_ms, line.us_per_replayed_call, line.next_answer_ms
        ));
        lines.push(line);
    }
    Ok(ResumeFigures {
        sessions,
        start_ms,
        lines,
    })
}
