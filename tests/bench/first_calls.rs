//! What a session costs until its first result: a creation and a call.

use std::time::Duration;

use serde::Serialize;

use crate::echo::MeasuredServer;
use crate::load::{EchoCalls, LoadGenerator, StopCondition, Workload, create, delete, each};
use crate::process::cpu_time;
use crate::statistics::micros;

/// Connections that the sessions share.
const CONNECTIONS: usize = 16;

/// The figure of one server in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FirstCallRow {
    pub(crate) server: String,
    /// CPU time of the server for the creation of a session and its first call.
    pub(crate) cpu_us_per_session: Option<f64>,
}

/// One call in each session.
struct FirstCalls {
    calls: Vec<EchoCalls>,
    /// The session that is next.
    next: usize,
    /// The session of the last call of each connection.
    asked: Vec<usize>,
}

impl Workload for FirstCalls {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        let Some(calls) = self.calls.get_mut(self.next) else {
            return false;
        };
        calls.next(request);
        self.asked[connection] = self.next;
        self.next += 1;
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        self.calls[self.asked[connection]].check(status, body)
    }
}

/// Creates this many sessions on a server, calls each once, and deletes them.
pub(crate) fn round(server: &MeasuredServer, sessions: usize) -> Result<FirstCallRow, String> {
    let address = server.target.address;
    let ids: Vec<String> = (0..sessions).map(|_| orwd_tests::ors::fresh_id()).collect();
    let cpu = || server.pid.map(cpu_time).transpose();
    let before = cpu()?;
    each(address, CONNECTIONS, &ids, create)?;
    let io = |error: std::io::Error| error.to_string();
    let mut work = FirstCalls {
        calls: ids.iter().map(|id| EchoCalls::new(address, id)).collect(),
        next: 0,
        asked: vec![0; CONNECTIONS],
    };
    let mut lines = LoadGenerator::open(address, CONNECTIONS).map_err(io)?;
    let measured = lines.run(&mut work, StopCondition::Done).map_err(io)?;
    measured.without_errors()?;
    let used = cpu()?
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    each(address, CONNECTIONS, &ids, delete)?;
    Ok(FirstCallRow {
        server: server.target.name.clone(),
        cpu_us_per_session: used.map(|used| per_session(used, sessions)),
    })
}

#[allow(clippy::cast_precision_loss, reason = "counts of sessions are small")]
fn per_session(used: Duration, sessions: usize) -> f64 {
    micros(used) / sessions as f64
}
