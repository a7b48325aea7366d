//! `bench sessions`: the cost of an idle session.
//!
//! Opens many sessions, makes one call in each and leaves them idle. Each has a
//! counter, which shows at the end whether all sessions kept their state.

use std::net::SocketAddr;
use std::time::Duration;

use rand::seq::IndexedRandom as _;
use serde::Serialize;
use serde_json::json;

use crate::load::{
    LoadGenerator, LoadMeasurement, StopCondition, Workload, call, create, delete, each, is_text,
    run_and_result,
};
use crate::process::{ProcessMemory, load_average};

/// The number of connections of the concurrent phases.
const CONNECTIONS: usize = 16;

/// The maximum number of sessions that are created in sequence.
const SEQUENTIAL: usize = 1000;

/// The parameters of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionsPlan {
    /// The number of sessions.
    pub(crate) sessions: usize,
    /// The number of calls on random idle sessions.
    pub(crate) probes: usize,
    /// The idle time before the memory is read.
    pub(crate) idle: Duration,
}

/// The latencies of one kind of request.
#[derive(Debug, Serialize)]
pub(crate) struct RequestTimes {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The whole run. Memory is in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct SessionsReport {
    bench: &'static str,
    sessions: usize,
    /// Whether the load generator, and a server started by it, are optimised.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    create_sequential: RequestTimes,
    create_at_16_connections: RequestTimes,
    first_call_at_16_connections: RequestTimes,
    call_on_random_idle: RequestTimes,
    delete_at_16_connections: RequestTimes,
    memory_before: ProcessMemory,
    memory_idle: ProcessMemory,
    memory_after_calls: ProcessMemory,
    memory_deleted: ProcessMemory,
    resident_per_session: f64,
    distinct_per_session: Option<f64>,
    page_tables_per_session: f64,
}

impl SessionsReport {
    /// Returns the resident bytes per idle session.
    pub(crate) fn resident_per_session(&self) -> f64 {
        self.resident_per_session
    }
}

/// Measures, and passes each line of output to `say`.
pub(crate) fn run(
    address: SocketAddr,
    pid: u32,
    plan: SessionsPlan,
    mut say: impl FnMut(&str),
) -> Result<SessionsReport, String> {
    let ids: Vec<String> = (0..plan.sessions)
        .map(|_| orwd_tests::ors::fresh_id())
        .collect();
    let report = measure(address, pid, plan, &ids, &mut say);
    if report.is_err() {
        // Deleting a session that was never created is not an error.
        let _ = each(address, CONNECTIONS, &ids, delete);
    }
    report
}

fn measure(
    address: SocketAddr,
    pid: u32,
    plan: SessionsPlan,
    ids: &[String],
    say: &mut impl FnMut(&str),
) -> Result<SessionsReport, String> {
    let load_before = load_average();
    say(&format!(
        "{} sessions; load {}",
        plan.sessions,
        load_before.map_or("unknown".to_owned(), |load| load.to_string()),
    ));
    let memory_before = ProcessMemory::of(pid)?;
    say(&shown("memory before", memory_before));

    let mut timed = |what: &str, measured: Result<LoadMeasurement, String>| {
        let times = RequestTimes::of(&measured.map_err(|error| format!("{what}: {error}"))?);
        say(&times.shown(what));
        Ok::<RequestTimes, String>(times)
    };
    let (first, rest) = ids.split_at((plan.sessions / 5).clamp(1, SEQUENTIAL));
    let create_sequential = timed("create, sequential", each(address, 1, first, create))?;
    let create_at_16_connections = timed(
        "create, 16 connections",
        each(address, CONNECTIONS, rest, create),
    )?;
    let mut bumps = BumpCalls::new(address, ids);
    let first_call_at_16_connections = timed(
        "first call, 16 connections",
        bumps.run(CONNECTIONS, (0..ids.len()).collect()),
    )?;
    std::thread::sleep(plan.idle);
    let memory_idle = ProcessMemory::of(pid)?;
    let all: Vec<usize> = (0..ids.len()).collect();
    let random = (0..plan.probes).filter_map(|_| all.choose(&mut rand::rng()).copied());
    let call_on_random_idle = timed("call on a random session", bumps.run(1, random.collect()))?;
    // The counters show that each session kept its state.
    timed("another call in each", bumps.run(CONNECTIONS, all))?;
    let memory_after_calls = ProcessMemory::of(pid)?;
    let delete_at_16_connections = timed(
        "delete, 16 connections",
        each(address, CONNECTIONS, ids, delete),
    )?;
    std::thread::sleep(plan.idle);
    let memory_deleted = ProcessMemory::of(pid)?;

    let per_session = |now: u64, before: u64| {
        #[allow(clippy::cast_precision_loss, reason = "sizes of processes")]
        let per = (now as f64 - before as f64) / plan.sessions as f64;
        per
    };
    let report = SessionsReport {
        bench: "sessions",
        sessions: plan.sessions,
        optimised: !cfg!(debug_assertions),
        load_before,
        load_after: load_average(),
        create_sequential,
        create_at_16_connections,
        first_call_at_16_connections,
        call_on_random_idle,
        delete_at_16_connections,
        memory_before,
        memory_idle,
        memory_after_calls,
        memory_deleted,
        resident_per_session: per_session(memory_idle.resident, memory_before.resident),
        distinct_per_session: memory_idle
            .distinct
            .zip(memory_before.distinct)
            .map(|(now, before)| per_session(now, before)),
        page_tables_per_session: per_session(memory_idle.page_tables, memory_before.page_tables),
    };
    say(&shown("memory with all idle", memory_idle));
    say(&shown("memory after more calls", memory_after_calls));
    say(&shown("memory after deleting", memory_deleted));
    let distinct = report.distinct_per_session.map_or(String::new(), |bytes| {
        format!(" ({:.1} KB with shared pages counted once)", bytes / 1e3)
    });
    say(&format!(
        "an idle session: {:.1} KB resident{distinct}, {:.1} KB of page tables",
        report.resident_per_session / 1e3,
        report.page_tables_per_session / 1e3,
    ));
    say(&format!("all {} sessions kept their state", plan.sessions));
    Ok(report)
}

impl RequestTimes {
    /// Computes the figures of a run.
    pub(crate) fn of(measured: &LoadMeasurement) -> Self {
        let count = measured.latencies.count();
        #[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
        let per_second = count as f64 / measured.elapsed.as_secs_f64();
        Self {
            count,
            per_second,
            p50_us: measured.latencies.quantile_us(0.5),
            p99_us: measured.latencies.quantile_us(0.99),
        }
    }

    /// Formats the figures as a line.
    pub(crate) fn shown(&self, what: &str) -> String {
        format!(
            "{what:<28} {:>6} at {:>7.0}/s  p50 {:>8.3} ms  p99 {:>8.3} ms",
            self.count,
            self.per_second,
            self.p50_us / 1e3,
            self.p99_us / 1e3
        )
    }
}

fn shown(what: &str, memory: ProcessMemory) -> String {
    #[allow(clippy::cast_precision_loss, reason = "sizes of processes")]
    let mb = |bytes: u64| bytes as f64 / 1e6;
    format!(
        "{what:<28} {:>6.1} MB resident{}, {:.1} MB of page tables, {} mappings",
        mb(memory.resident),
        memory.distinct.map_or(String::new(), |bytes| {
            format!(" ({:.1} MB distinct)", mb(bytes))
        }),
        mb(memory.page_tables),
        memory.maps
    )
}

/// Calls of `bump`, which increments a session's counter and returns it.
pub(crate) struct BumpCalls<'a> {
    address: SocketAddr,
    ids: &'a [String],
    /// The number of calls of each session.
    counts: Vec<u64>,
    /// The sessions to call, in reverse order.
    order: Vec<usize>,
    /// The session of the current call of each connection.
    at: Vec<usize>,
}

impl<'a> BumpCalls<'a> {
    /// Creates the calls of new sessions.
    pub(crate) fn new(address: SocketAddr, ids: &'a [String]) -> Self {
        Self {
            address,
            ids,
            counts: vec![0; ids.len()],
            order: Vec::new(),
            at: Vec::new(),
        }
    }

    /// Calls these sessions, the last first, over this number of connections. Two
    /// calls of one session must not overlap, because their order counts.
    pub(crate) fn run(
        &mut self,
        connections: usize,
        order: Vec<usize>,
    ) -> Result<LoadMeasurement, String> {
        self.order = order;
        self.at = vec![0; connections];
        let io = |error: std::io::Error| error.to_string();
        let mut lines = LoadGenerator::open(self.address, connections).map_err(io)?;
        lines
            .run(self, StopCondition::Done)
            .map_err(io)?
            .without_errors()
    }
}

impl Workload for BumpCalls<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        let Some(session) = self.order.pop() else {
            return false;
        };
        self.at[connection] = session;
        self.counts[session] += 1;
        let bytes = call(self.address, &self.ids[session], "bump", &json!({}));
        request.extend_from_slice(&bytes);
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let (_, result) = run_and_result(status, body)?;
        is_text(result, &self.counts[self.at[connection]].to_string())
    }
}
