//! Attacks on what the server holds: lists without end, clients that do not read,
//! long histories, and results that nobody fetches. During each, the memory of
//! the server stays near that before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orwd_tests::background::run_concurrently;
use orwd_tests::expect::error_detail;
use orwd_tests::http::{HttpConnection, HttpRequest};
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use serde_json::json;

use crate::guests::{WatGuest, wat_guest};
use crate::harness::{AttackHarness, ProcessStats, quick_or_soak};

const FLAGS: [&str; 22] = [
    "--create-rate",
    "1000000",
    "--write-timeout",
    "2s",
    "--response-rate",
    "64KiB",
    "--listing-tasks",
    "1000",
    "--listing-limit",
    "12MiB",
    "--listing-memory",
    "32MiB",
    "--request-memory",
    "32MiB",
    "--response-memory",
    "64MiB",
    "--result-memory",
    "32MiB",
    "--history-memory",
    "32MiB",
    "--result-limit",
    "4MiB",
];

/// The memory that an attack may take: the budgets above, and as much again for
/// what is encoded, decoded and allocated meanwhile.
const MOST: u64 = 384 << 20;

/// A guest with this many tasks, whose pages are one text of `size` bytes again
/// and again; `listing` says whether it returns pages.
fn lister(name: &str, tasks: u64, size: usize, listing: bool) -> WatGuest {
    let text = format!(
        "(i64.store (i32.const 131072) (i64.const 0x22_3a_22_61_22_7b))
         (memory.fill (i32.const 131078) (i32.const 120) (i32.const {size}))
         (i32.store8 (i32.const {}) (i32.const 0x22)) (i32.store8 (i32.const {}) (i32.const 0x7d))",
        131_078 + size,
        131_079 + size,
    );
    let length = size + 8;
    wat_guest(name)
        .with("pages", "40")
        .with(
            "data",
            format!(
                "(data (i32.const 2080) \"\\{:02x}\")",
                if listing { 0x11 } else { 0x01 }
            ),
        )
        .with(
            "num-tasks",
            format!("(i64.store (i32.const 4104) (i64.const {tasks}))"),
        )
        .with(
            "module",
            format!(
                "(func $fill64 (local $i i32) (loop $next
                   (i32.store (i32.add (i32.const 20480) (i32.shl (local.get $i) (i32.const 3)))
                     (i32.const 131072))
                   (i32.store (i32.add (i32.const 20484) (i32.shl (local.get $i) (i32.const 3)))
                     (i32.const {length}))
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $next (i32.lt_u (local.get $i) (i32.const 64)))))"
            ),
        )
        .with(
            "tasks",
            format!(
                "{text} (call $fill64)
                 (i32.store (i32.const 4100) (i32.const 20480))
                 (i32.store (i32.const 4104) (i32.const 64))"
            ),
        )
        .with(
            "task",
            format!(
                "{text} (i32.store (i32.const 4100) (i32.const 131072))
                 (i32.store (i32.const 4104) (i32.const {length}))"
            ),
        )
}

/// Watches the memory of a process until it is dropped.
struct MemoryWatch {
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    fn start(pid: u32) -> Self {
        let (most, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = thread::spawn({
            let (most, stop) = (most.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    most.fetch_max(ProcessStats::of(pid).memory, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self {
            most,
            stop,
            thread: Some(thread),
        }
    }

    /// Asserts that the process never had much more memory than this before.
    fn assert_at_most(&self, before: u64) -> u64 {
        let most = self.most.load(Ordering::Relaxed).saturating_sub(before) >> 20;
        assert!(most <= MOST >> 20, "{most} MiB more than before");
        most
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs an attack and adds the most memory that the server took.
fn watched(pid: u32, attack: impl FnOnce() -> String) -> String {
    let before = ProcessStats::of(pid).memory;
    let watch = MemoryWatch::start(pid);
    let saw = attack();
    format!("{saw}; {} MiB more", watch.assert_at_most(before))
}

/// Asks for lists that are too long or too large: each refusal names the limit.
fn endless_lists(ors: &OrsClient) -> String {
    let train = json!({"split": "train"});
    let mut message = String::new();
    for (path, body, part) in [
        ("/endless/tasks", &train, "--listing-tasks"),
        ("/endless/task_range", &train, "--listing-tasks"),
        ("/endless-single/task_range", &train, "--listing-tasks"),
        (
            "/endless/task_range",
            &json!({"split": "train", "start": -1000}),
            "--listing-limit",
        ),
        (
            "/endless-single/task_range",
            &json!({"split": "train", "start": 5, "stop": 900}),
            "--listing-limit",
        ),
    ] {
        message = error_detail(&ors.post(path, body), 400);
        assert!(
            message.contains(part) && message.contains("start"),
            "{message}"
        );
    }
    // Ranges that fit are answered.
    let range = json!({"split": "train", "start": 1_000_000, "stop": 1_000_064});
    let answer = ors.post("/endless/task_range", &range);
    let tasks = answer.json()["tasks"].as_array().map(Vec::len);
    assert_eq!(tasks, Some(64), "{}", answer.status());
    message
}

/// Opens connections that ask for a list of 10 MB and read nothing, or a little
/// now and then; all of them are cut off, or told at once to wait.
fn unread_lists(ors: &OrsClient, count: usize, trickle: bool) -> String {
    let list = HttpRequest::post("/long/tasks").json(&json!({"split": "train"}));
    let mut open: Vec<HttpConnection> = (0..count)
        .map(|_| {
            let mut connection = ors.client().connect();
            connection.send(&list).expect("a request can be sent");
            connection
        })
        .collect();
    let begin = Instant::now();
    if trickle {
        for connection in &mut open {
            assert_eq!(connection.read_head().expect("a head").status, 200);
        }
    }
    // Each is cut after its credit is used up.
    while begin.elapsed() < Duration::from_secs(8) {
        if trickle {
            for connection in &mut open {
                let _ = connection.set_read_timeout(Duration::from_millis(1));
                // A few kilobytes, if there are any.
                let _ = connection.read_piece();
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    let mut refused = 0;
    for mut connection in open {
        let _ = connection.set_read_timeout(Duration::from_secs(20));
        if !trickle {
            match connection.read_head() {
                Ok(head) if head.status == 503 => {
                    refused += 1;
                    continue;
                }
                Ok(head) => assert_eq!(head.status, 200),
                Err(_) => continue,
            }
        }
        let is_cut = loop {
            match connection.read_piece() {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(is_cut, "kept for a client that does not read");
    }
    let cut = count - refused;
    // There is room for a hundred; only of more may some be told to wait.
    assert!(cut >= count.min(100), "{cut} of {count} were let in");
    format!("{cut} connections cut off, {refused} told to wait")
}

/// Asks for many ranges of one list and reads nothing. Another key gets its lists
/// meanwhile.
fn unread_ranges(ors: &OrsClient, bystander: &OrsClient) -> String {
    let mut answered = 0;
    let open: Vec<HttpConnection> = (0..5_u64)
        .flat_map(|start| (start + 1..6).map(move |stop| (start * 64, stop * 64)))
        // That of the other key.
        .filter(|range| *range != (0, 320))
        .map(|(start, stop)| {
            let range = json!({"split": "train", "start": start, "stop": stop});
            let mut connection = ors.client().connect();
            connection
                .send(&HttpRequest::post("/long/task_range").json(&range))
                .expect("a request can be sent");
            let status = connection.read_head().expect("a head").status;
            assert!(matches!(status, 200 | 503), "{status}");
            answered += usize::from(status == 200);
            connection
        })
        .collect();
    assert!(answered >= 3, "{answered}");
    let range = json!({"split": "train", "start": 0, "stop": 320});
    let list = bystander.post("/long/task_range", &range);
    let start: String = list.text().chars().take(200).collect();
    assert_eq!(list.status(), 200, "{start}");
    assert_eq!(list.json()["tasks"].as_array().map(Vec::len), Some(320));
    format!(
        "{answered} of {} ranges sent, and the list of another key",
        open.len()
    )
}

/// Makes results of 3 MiB in many sessions at the same time, and reads none of them.
/// Most wait for those before them or get a 503; each that began can be fetched
/// afterwards.
fn unread_results(ors: &OrsClient, count: usize) -> String {
    let body = json!({"name": "big", "input": {"unit": "0123456789abcdef", "count": 192 << 10}});
    let readers: Vec<(SessionClient, HttpConnection, String)> = (0..count)
        .filter_map(|_| {
            let session = ors.open("alpha", TaskSelector::At("train", 0));
            let mut connection = ors.client().connect();
            connection
                .send(&session.post_request("call", &body))
                .expect("a request can be sent");
            let head = connection.read_head().expect("a head");
            if head.status != 200 {
                // The results before take the share of this key.
                assert_eq!(head.status, 503);
                assert_eq!(head.header("x-backend-state"), Some("starting"));
                return None;
            }
            let first = connection.read_piece().expect("a piece").expect("an id");
            let first = String::from_utf8(first).expect("text");
            let run = first["event: task_id\r\ndata: ".len()..][..32].to_owned();
            Some((session, connection, run))
        })
        .collect();
    assert!(readers.len() >= 2, "{}", readers.len());
    thread::sleep(Duration::from_secs(3));
    let runs: Vec<(SessionClient, String)> = readers
        .into_iter()
        .map(|(session, _, run)| (session, run))
        .collect();
    for (session, run) in &runs {
        assert_eq!(session.resume(run).text().len(), 3 << 20);
    }
    format!(
        "{} of {count} began, and were fetched afterwards",
        runs.len()
    )
}

/// A session with this many results of 3 MiB.
fn long_session(ors: &OrsClient, results: usize) -> SessionClient {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let input = json!({"unit": "0123456789abcdef", "count": 192 << 10});
    for _ in 0..results {
        assert_eq!(session.call("big", input.clone()).text().len(), 3 << 20);
    }
    session
}

/// Asks for a long history many times at once, in every form.
fn histories(ors: &OrsClient, results: usize, count: usize) -> String {
    let session = long_session(ors, results);
    let path = format!("/orwd/sessions/{}", session.id());
    let statuses = run_concurrently((0..count).map(|n| {
        let (ors, path) = (ors.clone(), path.clone());
        move || match n % 3 {
            0 | 1 => ors.get(&path).status(),
            _ => ors.get(&format!("{path}/receipt")).status(),
        }
    }));
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 503)),
        "{statuses:?}"
    );
    let page = ors.get(&format!("{path}?limit=2")).json();
    assert_eq!(page["steps"].as_array().map(Vec::len), Some(2));
    let next = &page["next"];
    let page = ors.get(&format!("{path}?after={next}&limit=1000")).json();
    assert_eq!(page["steps"].as_array().map(Vec::len), Some(results - 1));
    let (mut steps, mut from) = (0, "0".to_owned());
    loop {
        let page = ors.get(&format!("{path}/steps?from={from}")).json();
        steps += page["steps"].as_array().map_or(0, Vec::len);
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut from),
            None => break,
        }
    }
    assert_eq!(steps, results + 1);
    let answered = statuses.iter().filter(|status| **status == 200).count();
    format!("{answered} of {count} answered, the others told to wait")
}

/// Forks a session with this many inputs of 5 MiB. The children replay all of them
/// at the same time.
fn resumed_inputs(ors: &OrsClient, inputs: usize, children: usize) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let text = "x".repeat(5 << 20);
    for _ in 0..inputs {
        session.call("noargs", json!({"x": text}));
    }
    let path = format!("/orwd/sessions/{}/fork", session.id());
    let forked = ors.post(&path, &json!({ "count": children })).json();
    let forked = forked["sessions"].as_array().expect("a list").clone();
    assert_eq!(forked.len(), children);
    for child in &forked {
        let child = ors.session("alpha", child.as_str().expect("an id"));
        child.call("echo", json!({"text": "here"}));
    }
    format!("{children} children replayed {} MiB each", 5 * inputs)
}

/// Makes results of 3 MiB in many sessions, which stay for `--result-ttl`. Those
/// that left memory come from the journal.
fn lingering_results(ors: &OrsClient, sessions: usize) -> String {
    let held: Vec<(SessionClient, String)> = (0..sessions)
        .map(|_| {
            let session = ors.open("alpha", TaskSelector::At("train", 0));
            let input = json!({"unit": "0123456789abcdef", "count": 192 << 10});
            let call = session.call("big", input);
            let id = call.task_id().to_owned();
            (session, id)
        })
        .collect();
    for (session, id) in &held {
        assert_eq!(session.resume(id).text().len(), 3 << 20);
    }
    format!("{sessions} results fetched again")
}

/// Sends large calls to a session that is busy.
fn waiting_calls(ors: &OrsClient, count: usize) -> String {
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let mut first = session.start("sleep", json!({"ms": 3000}));
    first.task_id();
    let body = json!({"name": "noargs", "input": {"x": "x".repeat(2 << 20)}});
    let request = session.post_request("call", &body);
    let heads = run_concurrently((0..count).map(|_| {
        let (ors, request) = (ors.clone(), request.clone());
        move || {
            let mut connection = ors.client().connect();
            connection.send(&request).expect("a request can be sent");
            let head = connection.read_head().expect("a head");
            // A connection that stays open keeps its call.
            (connection, head)
        }
    }));
    let mut refused = 0;
    for (_, head) in &heads {
        if head.status != 200 {
            assert_eq!(head.status, 503);
            assert_eq!(head.header("x-backend-state"), Some("starting"));
            refused += 1;
        }
    }
    assert!((1..count).contains(&refused), "{refused} of {count}");
    format!("{refused} of {count} told to wait")
}

#[test]
fn held_bytes() {
    let guests = [
        lister("endless", 1 << 62, 190_000, true),
        lister("endless-single", 1 << 62, 1 << 20, false),
        lister("long", 320, 32_000, true),
    ];
    let files: Vec<_> = guests.iter().map(WatGuest::file).collect();
    let mut harness = AttackHarness::new("held-bytes", &[], &files, &FLAGS).with_slack(160 << 20);
    let pid = harness.server().pid();
    harness.case(
        "an environment with 2^62 tasks",
        "listing-tasks, listing-limit",
        |ors| watched(pid, || endless_lists(ors)),
    );
    let count = quick_or_soak(100, 1000);
    harness.case(
        &format!("{count} clients that do not read a list of 10 MB"),
        "one list for all; response-rate",
        |ors| watched(pid, || unread_lists(ors, count, false)),
    );
    let count = quick_or_soak(30, 300);
    harness.case(
        &format!("{count} clients that read a few bytes now and then"),
        "response-rate",
        |ors| watched(pid, || unread_lists(ors, count, true)),
    );
    let bystander = harness.bystander();
    harness.case(
        "many ranges of a list, of which none is read",
        "response-memory, by the reader's key",
        |ors| watched(pid, || unread_ranges(ors, &bystander)),
    );
    let count = quick_or_soak(24, 60);
    harness.case(
        &format!("{count} results of 3 MiB at once, of which none is read"),
        "result-memory: the key's other calls wait",
        |ors| watched(pid, || unread_results(ors, count)),
    );
    let (results, count) = quick_or_soak((20, 40), (60, 200));
    harness.case(
        &format!("{count} requests for a history of {} MiB", 3 * results),
        "history-memory",
        |ors| watched(pid, || histories(ors, results, count)),
    );
    let (inputs, count) = quick_or_soak((30, 6), (40, 24));
    harness.case(
        &format!(
            "{count} resumes of a history with {} MiB of inputs",
            5 * inputs
        ),
        "one page of a history",
        |ors| watched(pid, || resumed_inputs(ors, inputs, count)),
    );
    let count = quick_or_soak(40, 60);
    harness.case(
        &format!("{count} results of 3 MiB that stay"),
        "result-memory",
        |ors| watched(pid, || lingering_results(ors, count)),
    );
    let count = quick_or_soak(30, 100);
    harness.case(
        &format!("{count} calls of 2 MiB to a busy session"),
        "request-memory",
        |ors| watched(pid, || waiting_calls(ors, count)),
    );
    harness.end();
}
