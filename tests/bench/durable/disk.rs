//! Disk usage per session and per call, after a shutdown that leaves the journal
//! as one file.

use serde::Serialize;

use super::bench_server::{BenchServer, stop};
use super::counted_sessions::CountedSessions;
use crate::load::{create, each};

/// The number of sessions.
const SESSIONS: usize = 500;

/// The number of calls per session.
const CALLS: u64 = 20;

/// Disk usage in bytes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DiskFigures {
    empty: u64,
    /// Per created session.
    per_session: f64,
    /// Per call of `bump`, whose result is a number.
    per_call: f64,
}

/// Measures the disk usage.
pub(super) fn run(say: &mut dyn FnMut(&str)) -> Result<DiskFigures, String> {
    let mut host = BenchServer::new();
    let (server, _) = host.alpha()?;
    stop(server)?;
    let empty = host.bytes().0;

    let (server, address) = host.alpha()?;
    let ids: Vec<String> = (0..SESSIONS).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(address, 4, &ids, create)?;
    stop(server)?;
    let created = host.bytes().0;

    // This resumes all of them.
    let (server, address) = host.alpha()?;
    let mut counted = CountedSessions::new(ids);
    counted.call_all(address, CALLS)?;
    stop(server)?;
    let called = host.bytes().0;

    #[allow(clippy::cast_precision_loss, reason = "sizes of files")]
    let per = |bytes: u64, number: f64| bytes as f64 / number;
    let sessions = SESSIONS as f64;
    let figures = DiskFigures {
        empty,
        per_session: per(created.saturating_sub(empty), sessions),
        per_call: per(called.saturating_sub(created), sessions * CALLS as f64),
    };
    say(&format!(
        "\ndisk: {:.0} bytes per session, {:.0} bytes per call of `bump`, {:.1} KB for an empty journal",
        figures.per_session,
        figures.per_call,
        empty as f64 / 1e3,
    ));
    Ok(figures)
}
