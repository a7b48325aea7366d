//! What calls with large results cost, on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::echo::MeasuredServer;
use crate::load::{
    LoadGenerator, StopCondition, Workload, call, create, delete, each, large_result,
};
use crate::process::cpu_time;
use crate::statistics::micros;

/// The size of a result, and the calls of one server in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeCallPlan {
    pub(crate) bytes: usize,
    pub(crate) calls: u32,
}

/// The figures of one server in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LargeResultRow {
    pub(crate) server: String,
    /// The size of the text in the result.
    pub(crate) bytes: usize,
    pub(crate) p50_us: f64,
    /// CPU time of the server per call.
    pub(crate) cpu_us_per_call: Option<f64>,
}

/// Calls of `echo` with a long text.
struct LargeCalls {
    request: Vec<u8>,
    /// What every result contains.
    expected: String,
    /// The calls that are left.
    left: u32,
}

impl LargeCalls {
    fn new(address: SocketAddr, session: &str, plan: LargeCallPlan) -> LargeCalls {
        let text: String = "The quick brown fox jumps. "
            .chars()
            .cycle()
            .take(plan.bytes)
            .collect();
        LargeCalls {
            request: call(address, session, "echo", &json!({"text": text})),
            expected: format!("\"text\":\"{text}\""),
            left: plan.calls,
        }
    }
}

impl Workload for LargeCalls {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        request.extend_from_slice(&self.request);
        true
    }

    fn check(&mut self, _: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let result = large_result(status, body)?;
        let expected = self.expected.as_bytes();
        match result.windows(expected.len()).any(|part| part == expected) {
            true => Ok(()),
            false => Err(format!("another result of {} bytes", result.len())),
        }
    }
}

/// Makes the calls of a round in a new session on a server.
pub(crate) fn round(
    server: &MeasuredServer,
    plan: LargeCallPlan,
) -> Result<LargeResultRow, String> {
    let address = server.target.address;
    let session = [orwd_tests::ors::fresh_id()];
    each(address, 1, &session, create)?;
    let io = |error: std::io::Error| error.to_string();
    let mut lines = LoadGenerator::open(address, 1).map_err(io)?;
    let [id] = &session;
    let mut calls = |calls| {
        let mut work = LargeCalls::new(address, id, LargeCallPlan { calls, ..plan });
        let measured = lines.run(&mut work, StopCondition::Done).map_err(io)?;
        measured.without_errors()
    };
    calls(2)?;
    let cpu = || server.pid.map(cpu_time).transpose();
    let before = cpu()?;
    let measured = calls(plan.calls)?;
    let used = cpu()?
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    each(address, 1, &session, delete)?;
    Ok(LargeResultRow {
        server: server.target.name.clone(),
        bytes: plan.bytes,
        p50_us: measured.latencies.quantile_us(0.5),
        cpu_us_per_call: used.map(|used| per_call(used, plan.calls)),
    })
}

fn per_call(used: Duration, calls: u32) -> f64 {
    micros(used) / f64::from(calls)
}
