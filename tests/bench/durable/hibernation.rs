//! Hibernation: more sessions than session slots, called in turn, so that each
//! call resumes one session and hibernates another.

use serde::Serialize;

use super::bench_server::BenchServer;
use crate::load::{create, each};
use crate::sessions::{BumpCalls, RequestTimes};

/// The number of session slots.
const MAX_SESSIONS: usize = 64;

/// The number of connections.
const CONNECTIONS: usize = 8;

/// The number of calls per session.
const TURNS: usize = 4;

/// The figures.
#[derive(Debug, Serialize)]
pub(super) struct HibernationFigures {
    sessions: usize,
    max_sessions: usize,
    /// Each call resumed one session and hibernated another.
    calls: RequestTimes,
}

/// Measures the calls.
pub(super) fn run(
    sessions: usize,
    say: &mut dyn FnMut(&str),
) -> Result<HibernationFigures, String> {
    let mut host = BenchServer::new().set("--max-sessions", MAX_SESSIONS);
    let (_server, address) = host.alpha()?;
    let ids: Vec<String> = (0..sessions).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(address, CONNECTIONS, &ids, create)?;
    let order = (0..TURNS).flat_map(|_| 0..sessions).collect();
    let calls = RequestTimes::of(&BumpCalls::new(address, &ids).run(CONNECTIONS, order)?);
    say(&format!(
        "\n{sessions} sessions on a server with {MAX_SESSIONS} slots, called in turn:"
    ));
    say(&calls.shown("resumed, another hibernated"));
    Ok(HibernationFigures {
        sessions,
        max_sessions: MAX_SESSIONS,
        calls,
    })
}
