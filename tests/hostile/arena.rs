//! One server, a canary on it, and attacks one after another.
//!
//! A case is an attack, what it must come to, and the limit that stops it. It
//! passes if the client saw what it had to; if the canary had no error and its
//! calls took 250 ms at most, but for one in a hundred; and if afterwards the
//! server holds no more descriptors, threads, memory and places for sessions
//! than before. Unless a family says otherwise, sessions do not leave the
//! memory to make room for others, so that all that a session takes is counted
//! by counting sessions. Everything else may be due to a busy machine and is not a
//! reason to fail: only for the canary's time a case may be tried again, and
//! the table says how often it was.
//!
//! A case that fails does not keep the next ones from being tried.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_tests::command::Orwd;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use serde_json::json;

use crate::canary::{BOUND, Canary, quietly};
use crate::report::{Line, Report};
use crate::vitals::{SLACK, Vitals};

/// How many sessions there may be in each arena.
pub const PLACES: usize = 72;

/// How often a case is tried if the canary was late.
const TRIES: usize = 3;

/// Calls of the canary that a case must at least span.
const CALLS: usize = 3;

/// How long what an attack held may take to be given back. Threads that rest
/// are let go after ten seconds.
const SETTLED: Duration = Duration::from_secs(30);

/// Attacks on one server.
pub struct Arena {
    report: Report,
    canary: Canary,
    ors: Ors,
    key: String,
    start: Vitals,
    /// Sessions that there may be.
    places: usize,
    /// Bytes of memory that may stay behind.
    slack: u64,
    failures: Vec<String>,
    server: Server,
    _keys: Scratch,
    _alone: MutexGuard<'static, ()>,
}

/// One arena at a time: a canary cannot tell whose attack it hears.
static ALONE: Mutex<()> = Mutex::new(());

impl Arena {
    /// Starts a server for a family of attacks, with the guests in `files`
    /// beside the fixtures, and these flags.
    pub fn new(family: &'static str, fixtures: &[&str], files: &[PathBuf], flags: &[&str]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = Scratch::new();
        let file = keys.at("keys.toml");
        let key = |name: &str| {
            let made = Orwd::new(["keys", "new", name, "--api-keys", &file]).run();
            made.succeeds().trim_end().to_owned()
        };
        let (attacker, canary) = (key("attacker"), key("canary"));
        let mut serve = Serve::fixtures(&[&["alpha"], fixtures].concat())
            .set("--api-keys", &file)
            .set("--max-sessions", PLACES.to_string())
            .set("--log", "error,orwd::guest=info");
        let mut places = None;
        for pair in flags.chunks(2) {
            if pair[0] == "--max-open-sessions" {
                places = Some(pair[1].parse().expect("a number"));
            }
            serve = serve.set(pair[0], pair[1]);
        }
        if places.is_none() {
            serve = serve.set("--hibernate-after", "never");
        }
        for file in files {
            serve = serve.and(file);
        }
        let server = serve.start();
        let canary = Canary::start(server.ors().with_key(&canary));
        let ors = server.ors().with_key(&attacker);
        // What is only made when it is first needed is made now.
        fill(&ors);
        let first = canary.mark();
        let quiet = canary.since(first, 10);
        let begin = Instant::now();
        let mut start = Vitals::of(server.pid());
        while begin.elapsed() < Duration::from_millis(500) {
            start = start.least(Vitals::of(server.pid()));
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            report: Report::new(family, flags, &quiet),
            canary,
            ors,
            key: attacker,
            start,
            places: places.unwrap_or(PLACES),
            slack: SLACK,
            failures: Vec::new(),
            server,
            _keys: keys,
            _alone: alone,
        }
    }

    /// Lets more memory stay behind: an allocator keeps some for each of many
    /// things that were there at once.
    pub fn with_slack(mut self, bytes: u64) -> Self {
        self.slack = self.slack.max(bytes);
        self
    }

    /// The attacker's key, for requests on raw sockets.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Tries one attack. `stops` names the limit or the rule that does;
    /// `attack` makes it, checks what comes of it, and says what the client
    /// saw.
    pub fn case(&mut self, name: &str, stops: &str, attack: impl Fn(&Ors) -> String) {
        let mut tries = 1;
        loop {
            let mark = self.canary.mark();
            let begin = Instant::now();
            let saw = quietly(|| attack(&self.ors));
            let took = begin.elapsed();
            let effect = self.canary.since(mark, CALLS);
            let late = effect.p99 > BOUND;
            if late && effect.errors.is_empty() && saw.is_ok() && tries < TRIES {
                tries += 1;
                continue;
            }
            let mut wrong = Vec::new();
            if let Err(panic) = &saw {
                wrong.push(panic.clone());
            }
            if late {
                wrong.push(format!("the canary waited {:?}", effect.p99));
            }
            wrong.extend(effect.errors.iter().map(|error| format!("canary: {error}")));
            wrong.extend(self.settle().err());
            let problem = (!wrong.is_empty()).then(|| wrong.join("; "));
            self.failures
                .extend(problem.iter().map(|text| format!("{name}: {text}")));
            self.report.add(Line {
                attack: name.to_owned(),
                stops: stops.to_owned(),
                saw: saw.unwrap_or_else(|_| "FAILED".to_owned()),
                took,
                effect,
                tries,
                problem,
            });
            return;
        }
    }

    /// Waits until the server holds what it held at the start, and no more.
    fn settle(&self) -> Result<(), String> {
        let begin = Instant::now();
        let mut places = Err("not tried".to_owned());
        loop {
            let now = Vitals::of(self.server.pid());
            if now.is_back_at(&self.start, self.slack) {
                places = quietly(|| fill(&self.ors));
                if places == Ok(self.places - 1) {
                    return Ok(());
                }
            }
            if begin.elapsed() > SETTLED {
                let start = self.start;
                return Err(format!(
                    "left behind: {now} instead of {start}; places: {places:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Prints the table and fails if a case did.
    pub fn end(mut self) {
        let begin = Instant::now();
        let rested = loop {
            let now = Vitals::of(self.server.pid());
            if now.is_at_rest(&self.start, self.slack) {
                break now;
            }
            if begin.elapsed() > SETTLED {
                let start = self.start;
                self.failures
                    .push(format!("at the end there are {now} instead of {start}"));
                break now;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let whole = self.canary.whole();
        self.report.print(&whole, &self.start, &rested);
        assert!(
            self.failures.is_empty(),
            "{} failed:\n{}",
            self.failures.len(),
            self.failures.join("\n")
        );
    }
}

/// Takes every place that is left, and gives them back; says how many.
fn fill(ors: &Ors) -> usize {
    let task = Task::At("train", 0).body("alpha");
    let mut taken: Vec<Session> = Vec::new();
    loop {
        let id = fresh_id();
        let answer = ors.create(&id, &task);
        match answer.status() {
            200 => taken.push(ors.session("alpha", &id)),
            503 => return taken.len(),
            _ => panic!("{answer:?}"),
        }
    }
}

/// A session of a guest written by hand.
pub fn open(ors: &Ors, guest: &str) -> Session {
    ors.open(guest, Task::Spec(json!({})))
}
