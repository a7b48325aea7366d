//! One server, a canary on it, and attacks in sequence.
//!
//! A case is an attack, its expected outcome, and the limit that stops it. It
//! passes if the client saw that outcome; if the canary had no error and its
//! 99th percentile stayed below 250 ms; and if afterwards the server holds no
//! more descriptors, threads, memory and session slots than before. Unless a
//! family says otherwise, no session hibernates, so that counting sessions
//! counts all that a session takes. Only the canary's latency may be due to a
//! busy machine: for that a case is tried again, and the table says how often.
//!
//! A case that fails does not keep the next ones from running.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::canary::{Canary, LATENCY_LIMIT, catch_panic};
use super::process_stats::{MEMORY_SLACK, ProcessStats};
use super::report::{AttackReport, AttackRow};

/// The session limit of each server.
const PLACES: usize = 89;

/// The sessions that the attacker's key gets of them: its share beside the session
/// of the canary.
pub(crate) const ATTACKER_SESSIONS: usize = 71;

/// How many places a key may hold for each one that is free.
const PER_FREE_PLACE: usize = 4;

/// The number of tries for a case during which the canary was late.
const TRIES: usize = 3;

/// The number of canary calls that a case must at least span.
const CALLS: usize = 3;

/// A little more than the time after which the server has read the key file for
/// the first time.
const KEY_FILE_INTERVAL: Duration = Duration::from_millis(1500);

/// The limit for returning the resources of an attack.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Runs the attacks of one family on one server.
pub(crate) struct AttackHarness {
    report: AttackReport,
    canary: Canary,
    ors: OrsClient,
    key: String,
    bystander: OrsClient,
    start: ProcessStats,
    /// The number of sessions that the attacker may have.
    attacker_sessions: usize,
    /// Bytes of memory that may stay behind.
    slack: u64,
    failures: Vec<String>,
    server: ServerProcess,
    _keys: TestDir,
    exclusive: MutexGuard<'static, ()>,
}

/// One harness at a time: a canary cannot tell which attack affected it.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

impl AttackHarness {
    /// Starts a server for a family of attacks, with the guests in `files`
    /// beside the fixtures, and these flags.
    pub(crate) fn new(
        family: &'static str,
        fixtures: &[&str],
        files: &[PathBuf],
        flags: &[&str],
    ) -> Self {
        let exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = TestDir::new();
        let file = keys.at("keys.toml");
        let new_key = |name: &str| {
            let created = OrwdCommand::new(["keys", "add", name, "--api-keys", &file]).run();
            created.expect_success().trim_end().to_owned()
        };
        let (attacker, canary) = (new_key("attacker"), new_key("canary"));
        let bystander = new_key("bystander");
        let mut serve = ServeCommand::fixtures(&[&["alpha"], fixtures].concat())
            .set("--api-keys", &file)
            .set("--max-sessions", PLACES.to_string())
            .set("--log", "error,orwd::guest=info");
        let mut attacker_sessions = None;
        for pair in flags.chunks(2) {
            if pair[0] == "--max-open-sessions" {
                let places = pair[1].parse().expect("a number");
                attacker_sessions = Some(share_beside_canary(places));
            }
            serve = serve.set(pair[0], pair[1]);
        }
        if attacker_sessions.is_none() {
            serve = serve.set("--hibernate-after", "never");
        }
        for file in files {
            serve = serve.and_path(file);
        }
        let server = serve.start();
        let started = Instant::now();
        let canary = Canary::start(server.ors().with_api_key(&canary));
        let ors = server.ors().with_api_key(&attacker);
        let bystander = server.ors().with_api_key(&bystander);
        // Allocates now what the server only allocates on first use.
        fill_slots(&ors);
        let first = canary.mark();
        let quiet = canary.since(first, 10);
        // The server reads the key file at intervals, on a thread that exists
        // from the first time on.
        std::thread::sleep(KEY_FILE_INTERVAL.saturating_sub(started.elapsed()));
        let begin = Instant::now();
        let mut start = ProcessStats::of(server.pid());
        while begin.elapsed() < Duration::from_millis(500) {
            start = start.min(ProcessStats::of(server.pid()));
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            report: AttackReport::new(family, flags, &quiet),
            canary,
            ors,
            key: attacker,
            bystander,
            start,
            attacker_sessions: attacker_sessions.unwrap_or(ATTACKER_SESSIONS),
            slack: MEMORY_SLACK,
            failures: Vec::new(),
            server,
            _keys: keys,
            exclusive,
        }
    }

    /// Allows more memory to stay behind: an allocator keeps some for each of
    /// many objects that existed at once.
    pub(crate) fn with_slack(mut self, bytes: u64) -> Self {
        self.slack = self.slack.max(bytes);
        self
    }

    /// Returns the attacker's API key, for requests on raw sockets.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Returns a client with another key than the attacker's and the canary's.
    pub(crate) fn bystander(&self) -> OrsClient {
        self.bystander.clone()
    }

    /// Returns the server.
    pub(crate) fn server(&self) -> &ServerProcess {
        &self.server
    }

    /// Runs one attack. `stops` names the limit or the rule that stops it;
    /// `attack` performs it, checks the outcome, and returns what the client
    /// saw.
    pub(crate) fn case(&mut self, name: &str, stops: &str, attack: impl Fn(&OrsClient) -> String) {
        let mut tries = 1;
        loop {
            let mark = self.canary.mark();
            let begin = Instant::now();
            let saw = catch_panic(|| attack(&self.ors));
            let took = begin.elapsed();
            let stats = self.canary.since(mark, CALLS);
            let late = stats.p99 > LATENCY_LIMIT;
            if late && stats.errors.is_empty() && saw.is_ok() && tries < TRIES {
                tries += 1;
                continue;
            }
            let mut problems = Vec::new();
            if let Err(panic) = &saw {
                problems.push(panic.clone());
            }
            if late {
                problems.push(format!("the canary's p99 was {:?}", stats.p99));
            }
            problems.extend(stats.errors.iter().map(|error| format!("canary: {error}")));
            problems.extend(self.settle().err());
            let problem = (!problems.is_empty()).then(|| problems.join("; "));
            self.failures
                .extend(problem.iter().map(|text| format!("{name}: {text}")));
            self.report.add(AttackRow {
                attack: name.to_owned(),
                stops: stops.to_owned(),
                saw: saw.unwrap_or_else(|_| "FAILED".to_owned()),
                took,
                canary: stats,
                tries,
                problem,
            });
            return;
        }
    }

    /// Waits until the server holds no more than it held at the start.
    fn settle(&self) -> Result<(), String> {
        let begin = Instant::now();
        let mut slots = Err("not tried".to_owned());
        loop {
            let now = ProcessStats::of(self.server.pid());
            if now.is_within(&self.start, self.slack) {
                slots = catch_panic(|| fill_slots(&self.ors));
                if slots == Ok(self.attacker_sessions) {
                    return Ok(());
                }
            }
            if begin.elapsed() > SETTLE_LIMIT {
                let start = self.start;
                return Err(format!(
                    "left behind: {now} instead of {start}; session slots: {slots:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Prints the table and fails if a case did.
    ///
    /// The next family may start while this one waits for its idle threads.
    pub(crate) fn end(self) {
        let Self {
            mut report,
            canary,
            start,
            slack,
            mut failures,
            server,
            exclusive,
            ..
        } = self;
        let total = canary.total();
        drop(canary);
        drop(exclusive);
        let begin = Instant::now();
        let settled = loop {
            let now = ProcessStats::of(server.pid());
            if now.is_fully_back_at(&start, slack) {
                break now;
            }
            if begin.elapsed() > SETTLE_LIMIT {
                failures.push(format!("at the end there are {now} instead of {start}"));
                break now;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        report.print(&total, &start, &settled);
        assert!(
            failures.is_empty(),
            "{} failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
}

/// Returns how many of these places a key gets while the canary has one.
fn share_beside_canary(places: usize) -> usize {
    let is_share = |held: &usize| *held >= PER_FREE_PLACE * (places - 1 - held);
    (0..places).find(is_share).expect("a share")
}

/// Creates sessions until the server refuses, deletes them, and returns how
/// many there were.
fn fill_slots(ors: &OrsClient) -> usize {
    let task = TaskSelector::At("train", 0).body("alpha");
    let mut created: Vec<SessionClient> = Vec::new();
    loop {
        let id = fresh_id();
        let response = ors.create(&id, &task);
        match response.status() {
            200 => created.push(ors.session("alpha", &id)),
            503 => return created.len(),
            _ => panic!("{response:?}"),
        }
    }
}

/// Opens a session of a guest in text format.
pub(crate) fn open(ors: &OrsClient, guest: &str) -> SessionClient {
    ors.open(guest, TaskSelector::Spec(json!({})))
}

/// Chooses between the amount of a quick run and that of a soak run.
pub(crate) fn quick_or_soak<T>(quick: T, soak: T) -> T {
    if cfg!(feature = "soak") { soak } else { quick }
}
