//! Sessions that outlive the server's process, seen by a client that knows
//! nothing of it: the server is killed, stopped, exchanged, and the client goes
//! on where it was.

use crate::{SOON, folder, serve};
use orwd_tests::artifacts::component;
use orwd_tests::expect::detail;
use orwd_tests::http::Request;
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Ors, SESSION_HEADER, Session, Task, fresh_id, secrets_header};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server, quiet_address};
use orwd_tests::stream::Stream;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// What a bumped counter stands at, by the tool that adds to it.
pub(crate) fn bump(session: &Session, by: i64) -> String {
    session.call("bump", json!({"by": by})).text()
}

pub(crate) fn until(is_so: impl FnMut() -> bool) {
    wait_until("it happens", SOON, is_so);
}

pub(crate) fn call_with(session: &Session, headers: &[(&str, &str)], body: &Value) -> Request {
    let mut request = session.post_request("call", body);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request
}

/// A server on a directory of its own that can be started again.
pub(crate) struct Host<'s> {
    scratch: &'s Scratch,
    address: String,
    flags: Vec<(&'static str, String)>,
}

impl<'s> Host<'s> {
    pub(crate) fn new(scratch: &'s Scratch) -> Host<'s> {
        Host {
            scratch,
            // Clients knock while it is away.
            address: quiet_address(),
            flags: Vec::new(),
        }
    }

    pub(crate) fn set(mut self, flag: &'static str, value: &str) -> Host<'s> {
        self.flags.push((flag, value.to_owned()));
        self
    }

    /// Starts it, at the address that it had before.
    pub(crate) fn start(&mut self, serve: Serve) -> Server {
        let mut serve = serve;
        if !self.flags.iter().any(|(flag, _)| *flag == "--state") {
            serve = serve.set("--state", self.scratch.at("state"));
        }
        for (flag, value) in &self.flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    pub(crate) fn alpha(&mut self) -> Server {
        self.start(Serve::fixtures(&["alpha"]))
    }
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    for durability in ["process", "power"] {
        let scratch = Scratch::new();
        let mut host = Host::new(&scratch).set("--durability", durability);
        let mut server = host.alpha();
        let session = server.ors().open("alpha", Task::At("train", 1));
        assert_eq!(bump(&session, 5), "5");
        let second = session.call("bump", json!({"by": 2}));
        let prompt = session.get("prompt").json();
        server.kill();

        let server = host.alpha();
        assert_eq!(session.ping().status(), 200, "before anything is rebuilt");
        assert_eq!(bump(&session, 1), "8", "{}", server.log());
        // The last results can be fetched as before.
        assert_eq!(session.resume(second.task_id()).events, second.events);
        assert_eq!(session.get("prompt").json(), prompt);
        assert_eq!(session.delete().status(), 200);
        assert_eq!(session.ping().status(), 404);
        drop(server);
        let _server = host.alpha();
        assert_eq!(session.ping().status(), 404, "what was deleted stays so");
    }
}

#[test]
fn a_call_that_the_kill_hit_runs_once_and_is_fetched_by_its_id() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    assert_eq!(bump(&session, 1), "1");
    let mut stream = session.start("sleep", json!({"ms": 3000, "tag": "cut-here"}));
    let task_id = stream.task_id();
    // A call that waits behind it has its id, and is in no journal.
    let mut waiting = session.start("bump", json!({"by": 10}));
    let waiting_id = waiting.task_id();
    until(|| journal_has(&scratch, "cut-here"));
    server.kill();
    drop((stream, waiting));

    let _server = host.alpha();
    let resumed = session.resume(&task_id);
    assert_eq!(resumed.task_id(), task_id);
    assert_eq!(
        resumed.text(),
        r#"{"tag": "cut-here", "start": 1, "end": 2}"#
    );
    let body = json!({"name": "bump", "input": {"by": 10}, "task_id": waiting_id});
    for _ in 0..3 {
        let run = session
            .ors()
            .transcript(&session.post_request("call", &body));
        assert_eq!(run.task_id(), waiting_id);
        assert_eq!(run.text(), "11");
    }
    assert_eq!(bump(&session, 0), "11", "each ran once");
    // An id of the client's own making is still none.
    assert_eq!(session.resume(&"0".repeat(32)).error(), "unknown task_id");
}

/// Whether this text has reached the disk.
pub(crate) fn journal_has(scratch: &Scratch, text: &str) -> bool {
    orwd_tests::state::journal_has(scratch.path().join("state"), text)
}

#[test]
fn sessions_survive_a_polite_end() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let sessions: Vec<Session> = (0..6)
        .map(|n| {
            let session = server.ors().open("alpha", Task::At("train", 0));
            bump(&session, n);
            session
        })
        .collect();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    let _server = host.alpha();
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(bump(session, 1), format!("{}", n + 1));
    }
}

#[test]
fn a_session_at_rest_leaves_the_memory_and_comes_back() {
    let scratch = Scratch::new();
    // One place: of two sessions one is always asleep.
    let mut host = Host::new(&scratch).set("--max-sessions", "1");
    let server = host.alpha();
    let ors = server.ors();
    let one = ors.open("alpha", Task::At("train", 0));
    // Until its setup is through, it has something to do.
    one.get("prompt");
    let two = ors.open("alpha", Task::At("train", 0));
    for round in 1..4 {
        assert_eq!(bump(&one, 1), round.to_string());
        assert_eq!(bump(&two, 2), (2 * round).to_string());
        assert_eq!(one.ping().status(), 200);
    }
    drop((one, two, server));

    let mut host = Host::new(&scratch)
        .set("--hibernate-after", "100ms")
        .set("--log", "info,orwd::session=debug");
    let server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    bump(&session, 7);
    until(|| {
        bump(&session, 0);
        std::thread::sleep(Duration::from_millis(800));
        server.log().contains("a session is back")
    });
    assert_eq!(bump(&session, 0), "7");
}

#[test]
fn a_session_stays_on_the_version_that_it_began_with() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let place = scratch.at("env.wasm");
    std::fs::copy(component("alpha"), &place).unwrap();
    let manifest = format!("name = \"swap\"\n[build]\ncomponent = {place:?}\n");
    scratch.write("swap/orwd.toml", manifest);
    let mut server = host.start(serve(scratch.at("swap")));
    let old = server.ors().open("swap", Task::Spec(json!({})));
    assert_eq!(bump(&old, 4), "4");
    server.kill();

    std::fs::copy(component("chat"), &place).unwrap();
    let server = host.start(serve(scratch.at("swap")));
    let ors = server.ors();
    assert_eq!(bump(&old, 1), "5", "{}", server.log());
    let new = ors.open("swap", Task::Spec(json!({})));
    let names = |session: &Session| session.get("task_tools").json();
    assert_ne!(names(&old), names(&new));
}

#[test]
fn who_cannot_be_resumed_is_told_so_and_never_gets_a_wrong_answer() {
    let scratch = Scratch::new();
    let clocked = folder(&scratch, "clocked", "alpha", "clock = \"real\"", "");
    let mut host = Host::new(&scratch);
    let mut server = host.start(serve(&clocked));
    let (session, resumable) = created(&server.ors(), "clocked", &[]);
    assert_eq!(resumable, "no; the environment sees the real clock");
    bump(&session, 1);
    server.kill();
    let _server = host.start(serve(&clocked));
    assert_eq!(session.ping().status(), 200);
    let told = detail(&session.get("prompt"), 410);
    assert!(told.contains("real clock"), "{told}");
}

/// A new session, and what the server says of its future.
fn created(ors: &Ors, environment: &str, headers: &[(&str, &str)]) -> (Session, String) {
    let id = fresh_id();
    let mut request = Request::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": environment, "task_spec": {}}));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let answer = ors.ask(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let resumable = answer.header("X-ORWD-Resumable").unwrap_or("").to_owned();
    (ors.session(environment, &id), resumable)
}

#[test]
fn secrets_are_kept_only_under_a_key() {
    let scratch = Scratch::new();
    let secrets = secrets_header(&json!({"TOKEN": {"value": "hunter2-hunter2"}}));
    let headers = [("X-Secrets", secrets.as_str())];
    let key = scratch.write("key", "5a".repeat(32));
    // One that the manifest does not name would not reach the session at all.
    let safe = folder(&scratch, "safe", "alpha", "secrets = [\"TOKEN\"]", "");
    for sealed in [false, true] {
        let mut host = Host::new(&scratch);
        if sealed {
            host = host.set("--seal-key", key.to_str().unwrap());
        }
        let mut server = host.start(serve(&safe));
        let (session, resumable) = created(&server.ors(), "safe", &headers);
        bump(&session, 2);
        server.kill();
        assert!(!journal_has(&scratch, "hunter2"), "in plain text");
        let _server = host.start(serve(&safe));
        if sealed {
            assert_eq!(resumable, "yes");
            assert_eq!(bump(&session, 1), "3");
        } else {
            assert_eq!(resumable, "no; the server has no key to seal secrets with");
            detail(&session.get("prompt"), 410);
        }
    }
}

#[test]
fn without_a_journal_nothing_is_pretended() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch).set("--durability", "none");
    let mut server = host.alpha();
    let (session, resumable) = created(&server.ors(), "alpha", &[]);
    assert_eq!(resumable, "no; the server keeps no journal");
    assert_eq!(bump(&session, 2), "2");
    server.kill();
    assert!(!std::path::Path::new(&scratch.at("state")).exists());
    let _server = host.alpha();
    assert_eq!(session.ping().status(), 404);
}

#[test]
fn a_fault_and_a_failed_setup_outlive_the_server_too() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch).set("--call-cpu", "300ms");
    let mut start = || host.start(Serve::fixtures(&["hostile", "broken"]));
    let mut server = start();
    let faulted = server.ors().open("hostile", Task::Spec(json!({})));
    assert!(
        faulted
            .call("act", json!({"how": "loop"}))
            .error()
            .contains("limit_cpu")
    );
    let failed = server
        .ors()
        .open("broken", Task::Spec(json!({"where": "setup"})));
    let words = detail(&failed.get("prompt"), 500);
    server.kill();
    let _server = start();
    assert!(detail(&faulted.get("prompt"), 410).contains("limit_cpu"));
    assert_eq!(detail(&failed.get("prompt"), 500), words);
}

#[test]
fn a_journal_that_was_tampered_with_is_refused_by_name() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let (good, bad) = (
        server.ors().open("alpha", Task::At("train", 0)),
        server.ors().open("alpha", Task::At("train", 0)),
    );
    bump(&good, 1);
    bad.call("echo", json!({"text": "untouched-words"}));
    let path = scratch.at("state/journal.db");
    let words = b"untouched-words";
    let place = |bytes: &[u8]| bytes.windows(words.len()).position(|part| part == words);
    let read = || std::fs::read(&path).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    let mut bytes = read();
    let place = place(&bytes).expect("it stands there as it came");
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let server = host.alpha();
    let told = detail(&bad.get("prompt"), 410);
    assert!(
        told.contains("damaged") && told.contains("record"),
        "{told}"
    );
    assert_eq!(bump(&good, 1), "2", "{}", server.log());
}

#[test]
fn a_client_that_leaves_between_two_servers_finds_its_run() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch).set("--drain", "0s");
    let mut server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    let body = json!({"name": "sleep", "input": {"ms": 20_000, "tag": "very-long-one"}});
    let mut stream = Stream::open(session.ors().client(), &session.post_request("call", &body));
    let task_id = stream.task_id();
    until(|| journal_has(&scratch, "very-long-one"));
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    drop(stream);
    let _server = host.alpha();
    assert_eq!(session.resume(&task_id).task_id(), task_id);
}

#[test]
fn sessions_at_rest_leave_a_memory_that_gets_short() {
    let mark = 160;
    let server = Serve::fixtures(&["greedy"])
        .set("--memory-mark", format!("{mark}MiB"))
        .start();
    let ors = server.ors();
    let eat = json!({"mib": 16});
    let sessions: Vec<Session> = (0..24)
        .map(|_| ors.open("greedy", Task::Spec(json!({}))))
        .collect();
    for session in &sessions {
        assert_eq!(session.call("eat", eat.clone()).text(), "ate 16");
    }
    server.logs("memory is short");
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
        let status = status.expect("the server is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.expect("a size").parse::<u64>().expect("a number") >> 10
    };
    until(|| resident() <= mark);
    let asleep = || {
        let listed = ors.get("/orwd/sessions").json();
        let listed = listed["sessions"].as_array().expect("a list").clone();
        listed.iter().filter(|one| one["state"] == "asleep").count()
    };
    assert!((1..24).contains(&asleep()), "{} sleep", asleep());
    // Whoever is called is back.
    for session in &sessions {
        assert_eq!(session.call("eat", json!({"mib": 1})).text(), "ate 1");
    }
}
