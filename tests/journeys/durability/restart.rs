//! Sessions that survive a kill, a shutdown or an upgrade of the server, as a
//! client without special support sees them.

use std::time::Duration;

use orwd_tests::artifacts::component;
use orwd_tests::expect::error_detail;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{
    EventStream, OrsClient, SESSION_HEADER, SessionClient, TaskSelector, fresh_id, secrets_header,
};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;
use serde_json::json;

use super::restartable_server::{RestartableServer, bump, journal_contains, until};
use crate::support::{TIMEOUT, environment_dir, serve};

#[test]
fn sessions_survive_a_kill() {
    for durability in ["process", "power"] {
        let scratch = TestDir::new();
        let mut host = RestartableServer::new(&scratch).set("--durability", durability);
        let mut server = host.alpha();
        let session = server.ors().open("alpha", TaskSelector::At("train", 1));
        assert_eq!(bump(&session, 5), "5");
        let second = session.call("bump", json!({"by": 2}));
        let prompt = session.get("prompt").json();
        server.kill();

        let server = host.alpha();
        assert_eq!(
            session.ping().status(),
            200,
            "before the session is resumed"
        );
        assert_eq!(bump(&session, 1), "8", "{}", server.log());
        // The last results can still be fetched.
        assert_eq!(session.resume(second.task_id()).events, second.events);
        assert_eq!(session.get("prompt").json(), prompt);
        assert_eq!(session.delete().status(), 200);
        assert_eq!(session.ping().status(), 404);
        drop(server);
        let _server = host.alpha();
        assert_eq!(
            session.ping().status(),
            404,
            "a deleted session stays deleted"
        );
    }
}

#[test]
fn a_call_interrupted_by_a_kill_runs_once_and_is_fetched_by_its_id() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    assert_eq!(bump(&session, 1), "1");
    let mut stream = session.start("sleep", json!({"ms": 3000, "tag": "cut-here"}));
    let task_id = stream.task_id();
    // A queued call has its id, but is not in the journal yet.
    let mut waiting = session.start("bump", json!({"by": 10}));
    let waiting_id = waiting.task_id();
    until(|| journal_contains(&scratch, "cut-here"));
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
    // An invented id is still unknown.
    assert_eq!(session.resume(&"0".repeat(32)).error(), "unknown task_id");
}

#[test]
fn sessions_survive_a_shutdown() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let sessions: Vec<SessionClient> = (0..6)
        .map(|n| {
            let session = server.ors().open("alpha", TaskSelector::At("train", 0));
            bump(&session, n);
            session
        })
        .collect();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    let _server = host.alpha();
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(bump(session, 1), format!("{}", n + 1));
    }
}

#[test]
fn an_idle_session_hibernates_and_resumes() {
    let scratch = TestDir::new();
    // With one slot, one of two sessions is always hibernated.
    let mut host = RestartableServer::new(&scratch).set("--max-sessions", "1");
    let server = host.alpha();
    let ors = server.ors();
    let one = ors.open("alpha", TaskSelector::At("train", 0));
    // A session in setup does not hibernate.
    one.get("prompt");
    let two = ors.open("alpha", TaskSelector::At("train", 0));
    for round in 1..4 {
        assert_eq!(bump(&one, 1), round.to_string());
        assert_eq!(bump(&two, 2), (2 * round).to_string());
        assert_eq!(one.ping().status(), 200);
    }
    drop((one, two, server));

    let mut host = RestartableServer::new(&scratch)
        .set("--hibernate-after", "100ms")
        .set("--log", "info,orwd_session=debug");
    let server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    bump(&session, 7);
    until(|| {
        bump(&session, 0);
        std::thread::sleep(Duration::from_millis(800));
        server.log().contains("session resumed")
    });
    assert_eq!(bump(&session, 0), "7");
}

#[test]
fn a_session_keeps_the_component_it_was_created_with() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let place = scratch.copy("swap/env.wasm", component("alpha"));
    scratch.write("swap/orwd.toml", "name = \"swap\"\n");
    let mut server = host.start(serve(scratch.at("swap")));
    let old = server.ors().open("swap", TaskSelector::Spec(json!({})));
    assert_eq!(bump(&old, 4), "4");
    server.kill();

    std::fs::copy(component("chat"), &place).unwrap();
    let server = host.start(serve(scratch.at("swap")));
    let ors = server.ors();
    assert_eq!(bump(&old, 1), "5", "{}", server.log());
    let new = ors.open("swap", TaskSelector::Spec(json!({})));
    let names = |session: &SessionClient| session.get("task_tools").json();
    assert_ne!(names(&old), names(&new));
}

#[test]
fn a_session_waits_while_its_older_component_cannot_be_read() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let place = scratch.copy("swap/env.wasm", component("alpha"));
    scratch.write("swap/orwd.toml", "name = \"swap\"\n");
    let mut server = host.start(serve(scratch.at("swap")));
    let old = server.ors().open("swap", TaskSelector::Spec(json!({})));
    assert_eq!(bump(&old, 4), "4");
    server.kill();
    std::fs::copy(component("chat"), &place).unwrap();

    // A directory in the place of the file is an error of reading, also for root.
    let stored = std::fs::read_dir(scratch.at("state/components")).unwrap();
    let stored = stored.map(|entry| entry.unwrap().path()).next().unwrap();
    let aside = scratch.at("aside.wasm");
    std::fs::rename(&stored, &aside).unwrap();
    std::fs::create_dir(&stored).unwrap();
    let mut server = host.start(serve(scratch.at("swap")));
    let message = error_detail(&old.get("prompt"), 503);
    assert!(!message.contains("directory"), "{message}");
    server.wait_for_log("older version not loaded");
    server.kill();

    std::fs::remove_dir(&stored).unwrap();
    std::fs::rename(&aside, &stored).unwrap();
    let mut server = host.start(serve(scratch.at("swap")));
    assert_eq!(bump(&old, 1), "5", "{}", server.log());
    server.kill();

    // One that is gone is gone.
    std::fs::remove_file(&stored).unwrap();
    let _server = host.start(serve(scratch.at("swap")));
    error_detail(&old.get("prompt"), 410);
}

#[test]
fn a_session_that_cannot_be_resumed_gets_an_error_and_never_a_wrong_result() {
    let scratch = TestDir::new();
    let clocked = environment_dir(&scratch, "clocked", "alpha", "clock = \"real\"", "");
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.start(serve(&clocked));
    let (session, resumable) = created(&server.ors(), "clocked", &[]);
    assert_eq!(resumable, "no; the environment sees the real clock");
    bump(&session, 1);
    server.kill();
    let _server = host.start(serve(&clocked));
    assert_eq!(session.ping().status(), 200);
    let message = error_detail(&session.get("prompt"), 410);
    assert!(message.contains("real clock"), "{message}");
}

/// Creates a session; returns it with the value of `X-ORWD-Resumable`.
fn created(
    ors: &OrsClient,
    environment: &str,
    headers: &[(&str, &str)],
) -> (SessionClient, String) {
    let id = fresh_id();
    let mut request = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": environment, "task_spec": {}}));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let answer = ors.fetch(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let resumable = answer.header("X-ORWD-Resumable").unwrap_or("").to_owned();
    (ors.session(environment, &id), resumable)
}

#[test]
fn secrets_are_kept_only_with_a_seal_key() {
    let scratch = TestDir::new();
    let secrets = secrets_header(&json!({"TOKEN": {"value": "hunter2-hunter2"}}));
    let headers = [("X-Secrets", secrets.as_str())];
    let key = scratch.write("key", "5a".repeat(32));
    // A secret that the manifest does not declare would not reach the session.
    let safe = environment_dir(&scratch, "safe", "alpha", "secrets = [\"TOKEN\"]", "");
    for sealed in [false, true] {
        let mut host = RestartableServer::new(&scratch);
        if sealed {
            host = host.set("--seal-key", key.to_str().unwrap());
        }
        let mut server = host.start(serve(&safe));
        let (session, resumable) = created(&server.ors(), "safe", &headers);
        bump(&session, 2);
        server.kill();
        assert!(
            !journal_contains(&scratch, "hunter2"),
            "a secret in plain text"
        );
        let _server = host.start(serve(&safe));
        if sealed {
            assert_eq!(resumable, "yes");
            assert_eq!(bump(&session, 1), "3");
        } else {
            assert_eq!(resumable, "no; the server has no key to seal secrets with");
            error_detail(&session.get("prompt"), 410);
        }
    }
}

#[test]
fn without_a_journal_a_session_is_not_resumable() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch).set("--durability", "none");
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
fn faults_and_failed_setups_survive_a_kill() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch).set("--call-cpu", "300ms");
    let mut start = || host.start(ServeCommand::fixtures(&["hostile", "broken"]));
    let mut server = start();
    let faulted = server.ors().open("hostile", TaskSelector::Spec(json!({})));
    assert!(
        faulted
            .call("act", json!({"how": "loop"}))
            .error()
            .contains("limit_cpu")
    );
    let failed = server
        .ors()
        .open("broken", TaskSelector::Spec(json!({"where": "setup"})));
    let words = error_detail(&failed.get("prompt"), 500);
    server.kill();
    let _server = start();
    assert!(error_detail(&faulted.get("prompt"), 410).contains("limit_cpu"));
    assert_eq!(error_detail(&failed.get("prompt"), 500), words);
}

#[test]
fn a_damaged_journal_record_is_reported() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let (good, bad) = (
        server.ors().open("alpha", TaskSelector::At("train", 0)),
        server.ors().open("alpha", TaskSelector::At("train", 0)),
    );
    bump(&good, 1);
    bad.call("echo", json!({"text": "untouched-words"}));
    let path = scratch.at("state/journal.db");
    let words = b"untouched-words";
    let place = |bytes: &[u8]| bytes.windows(words.len()).position(|part| part == words);
    let read = || std::fs::read(&path).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    let mut bytes = read();
    let place = place(&bytes).expect("the input is in the file");
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let server = host.alpha();
    let message = error_detail(&bad.get("prompt"), 410);
    assert!(
        message.contains("damaged") && message.contains("record"),
        "{message}"
    );
    assert_eq!(bump(&good, 1), "2", "{}", server.log());
}

#[test]
fn a_run_survives_a_restart_without_its_client() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch).set("--drain", "0s");
    let mut server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let body = json!({"name": "sleep", "input": {"ms": 20_000, "tag": "very-long-one"}});
    let mut stream =
        EventStream::open(session.ors().client(), &session.post_request("call", &body));
    let task_id = stream.task_id();
    until(|| journal_contains(&scratch, "very-long-one"));
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    drop(stream);
    let _server = host.alpha();
    assert_eq!(session.resume(&task_id).task_id(), task_id);
}

#[test]
fn idle_sessions_hibernate_when_memory_is_short() {
    let mark = 160;
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--memory-high-watermark", format!("{mark}MiB"))
        .start();
    let ors = server.ors();
    let eat = json!({"mib": 16});
    let sessions: Vec<SessionClient> = (0..24)
        .map(|_| ors.open("consumer", TaskSelector::Spec(json!({}))))
        .collect();
    for session in &sessions {
        assert_eq!(session.call("eat", eat.clone()).text(), "ate 16");
    }
    server.wait_for_log("under memory pressure");
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
    // A call resumes a hibernated session.
    for session in &sessions {
        assert_eq!(session.call("eat", json!({"mib": 1})).text(), "ate 1");
    }
}
