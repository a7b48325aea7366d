//! `bench sessions`: what an idle session costs.
//!
//! Opens many sessions, makes one call in each and leaves them alone. Each
//! keeps a counter, so that at the end it can be told whether all are still
//! there, and still themselves.

use std::net::SocketAddr;
use std::time::Duration;

use rand::seq::IndexedRandom as _;
use serde::Serialize;
use serde_json::json;

use crate::call::{call, is_text, run_and_result};
use crate::echo::micros;
use crate::load::{Lines, Measured, Until, Work};
use crate::process::{Memory, load_average};
use crate::request::{create, delete, each};

/// How many connections share the work where it need not be one after another.
const CONNECTIONS: usize = 16;

/// How many sessions are created one after another, at most.
const SEQUENTIAL: usize = 1000;

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many sessions.
    pub(crate) sessions: usize,
    /// How many calls on random idle ones.
    pub(crate) probes: usize,
    /// How long they are left alone before their memory is read.
    pub(crate) idle: Duration,
}

/// Times of one kind of request.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The whole run. Memory is in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    sessions: usize,
    /// Of the load generator, and of a server that was started here.
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    create_sequential: Times,
    create_at_16_connections: Times,
    first_call_at_16_connections: Times,
    call_on_random_idle: Times,
    delete_at_16_connections: Times,
    memory_before: Memory,
    memory_idle: Memory,
    memory_after_calls: Memory,
    memory_deleted: Memory,
    resident_per_session: f64,
    distinct_per_session: Option<f64>,
    page_tables_per_session: f64,
}

impl Report {
    /// Resident bytes of one idle session.
    pub(crate) fn resident_per_session(&self) -> f64 {
        self.resident_per_session
    }
}

/// Measures; `say` hears of each line as soon as it is known.
pub(crate) fn run(
    address: SocketAddr,
    pid: u32,
    plan: Plan,
    mut say: impl FnMut(&str),
) -> Result<Report, String> {
    let ids: Vec<String> = (0..plan.sessions)
        .map(|_| orwd_tests::ors::fresh_id())
        .collect();
    let report = measure(address, pid, plan, &ids, &mut say);
    if report.is_err() {
        // Deleting one that was never created is no error.
        let _ = each(address, CONNECTIONS, &ids, delete);
    }
    report
}

fn measure(
    address: SocketAddr,
    pid: u32,
    plan: Plan,
    ids: &[String],
    say: &mut impl FnMut(&str),
) -> Result<Report, String> {
    let load_before = load_average();
    say(&format!(
        "{} sessions; load {}",
        plan.sessions,
        load_before.map_or("unknown".to_owned(), |load| load.to_string()),
    ));
    let memory_before = Memory::of(pid)?;
    say(&shown("memory before", memory_before));

    let mut timed = |what: &str, measured: Result<Measured, String>| {
        let times = Times::of(&measured.map_err(|error| format!("{what}: {error}"))?);
        say(&times.shown(what));
        Ok::<Times, String>(times)
    };
    let (first, rest) = ids.split_at((plan.sessions / 5).clamp(1, SEQUENTIAL));
    let create_sequential = timed("create, sequential", each(address, 1, first, create))?;
    let create_at_16_connections = timed(
        "create, 16 connections",
        each(address, CONNECTIONS, rest, create),
    )?;
    let mut bumps = Bumps::new(address, ids);
    let first_call_at_16_connections = timed(
        "first call, 16 connections",
        bumps.run(CONNECTIONS, (0..ids.len()).collect()),
    )?;
    std::thread::sleep(plan.idle);
    let memory_idle = Memory::of(pid)?;
    let all: Vec<usize> = (0..ids.len()).collect();
    let random = (0..plan.probes).filter_map(|_| all.choose(&mut rand::rng()).copied());
    let call_on_random_idle = timed("call on a random idle one", bumps.run(1, random.collect()))?;
    // The counters say that each is still there and has forgotten nothing.
    timed("one more call in each", bumps.run(CONNECTIONS, all))?;
    let memory_after_calls = Memory::of(pid)?;
    let delete_at_16_connections = timed(
        "delete, 16 connections",
        each(address, CONNECTIONS, ids, delete),
    )?;
    std::thread::sleep(plan.idle);
    let memory_deleted = Memory::of(pid)?;

    let per_session = |now: u64, before: u64| {
        #[allow(clippy::cast_precision_loss, reason = "sizes of processes")]
        let per = (now as f64 - before as f64) / plan.sessions as f64;
        per
    };
    let report = Report {
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
    say(&format!(
        "all {} sessions were there to the end",
        plan.sessions
    ));
    Ok(report)
}

impl Times {
    /// Those of a run.
    pub(crate) fn of(measured: &Measured) -> Self {
        let quantile = |share| measured.latencies.quantile(share).map_or(f64::NAN, micros);
        let count = measured.latencies.count();
        #[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
        let per_second = count as f64 / measured.elapsed.as_secs_f64();
        Self {
            count,
            per_second,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    }

    /// In a line.
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

fn shown(what: &str, memory: Memory) -> String {
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

/// Calls of `bump`, which adds one to a session's counter and gives it back.
pub(crate) struct Bumps<'a> {
    address: SocketAddr,
    ids: &'a [String],
    /// How often each session was asked.
    asked: Vec<u64>,
    /// Whom to ask next, from the end.
    order: Vec<usize>,
    /// Whom each connection has asked.
    at: Vec<usize>,
}

impl<'a> Bumps<'a> {
    /// None of which was called before.
    pub(crate) fn new(address: SocketAddr, ids: &'a [String]) -> Self {
        Self {
            address,
            ids,
            asked: vec![0; ids.len()],
            order: Vec::new(),
            at: Vec::new(),
        }
    }

    /// Calls these sessions, the last first, over so many connections. No two
    /// calls of one session may be at the same time: their order decides.
    pub(crate) fn run(
        &mut self,
        connections: usize,
        order: Vec<usize>,
    ) -> Result<Measured, String> {
        self.order = order;
        self.at = vec![0; connections];
        let io = |error: std::io::Error| error.to_string();
        let mut lines = Lines::open(self.address, connections).map_err(io)?;
        lines.run(self, Until::Done).map_err(io)?.whole()
    }
}

impl Work for Bumps<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        let Some(session) = self.order.pop() else {
            return false;
        };
        self.at[connection] = session;
        self.asked[session] += 1;
        let bytes = call(self.address, &self.ids[session], "bump", &json!({}));
        request.extend_from_slice(&bytes);
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let (_, result) = run_and_result(status, body)?;
        is_text(result, &self.asked[self.at[connection]].to_string())
    }
}
