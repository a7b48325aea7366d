//! Guests that misbehave in every function that the host calls, beside fifty
//! sessions that must not be affected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use orwd_tests::background::{BackgroundTask, run_concurrently};
use orwd_tests::expect::error_detail;
use orwd_tests::http::HttpResponse;
use orwd_tests::ors::{OrsClient, SessionClient, StreamTranscript, TaskSelector, fresh_id};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::json;

/// The misbehavior of a guest, and the fault code that its client sees.
const ATTACKS: [(&str, &str); 6] = [
    ("loop", "limit_cpu"),
    ("eat_memory", "limit_memory"),
    ("overflow_stack", "env_trap"),
    ("panic", "env_trap"),
    ("abort", "env_trap"),
    ("exit", "env_exit"),
];

/// The functions in which a guest misbehaves.
const PLACES: [&str; 7] = [
    "call",
    "open",
    "setup",
    "prompt",
    "task_tools",
    "score_group",
    "teardown",
];

fn server() -> ServerProcess {
    ServeCommand::fixtures(&["alpha", "hostile"])
        .set("--memory", "32MiB")
        .set("--call-cpu", "400ms")
        .set("--call-wall", "5s")
        .set("--setup-cpu", "400ms")
        .set("--setup-wall", "5s")
        .set("--teardown-cpu", "400ms")
        .set("--teardown-wall", "2s")
        .start()
}

fn hostile(ors: &OrsClient, place: &str, how: &str) -> SessionClient {
    ors.open(
        "hostile",
        TaskSelector::Spec(json!({"where": place, "how": how})),
    )
}

#[track_caller]
fn starts_with_code(text: &str, code: &str, name: &str) {
    assert!(text.starts_with(&format!("{code}: ")), "{name}: {text}");
    assert!(!text.contains('\n'), "{name}: {text}");
}

#[track_caller]
fn response_has_code(answer: &HttpResponse, statuses: &[u16], code: &str, name: &str) {
    assert!(statuses.contains(&answer.status()), "{name}: {answer:?}");
    let text = error_detail(answer, answer.status());
    assert!(text.contains(code), "{name}: {text}");
}

#[track_caller]
fn stream_has_code(call: &StreamTranscript, code: &str, name: &str) {
    assert_eq!(call.names(), ["task_id", "error"], "{name}");
    starts_with_code(call.error(), code, name);
}

/// Asserts that the session has ended with this code and can be deleted.
#[track_caller]
fn has_ended(session: &SessionClient, code: &str, name: &str) {
    let call = session.post("call", &json!({"name": "fine", "input": {}}));
    response_has_code(&call, &[410], code, name);
    assert_eq!(session.delete().status(), 200, "{name}");
    assert_eq!(session.ping().status(), 404, "{name}");
}

/// Runs one attack in one function, as its client sees it.
fn attack(ors: &OrsClient, place: &str, how: &str, code: &str) {
    let name = format!("{how} in {place}");
    match place {
        // The server may list a task's tools when the session is opened.
        "open" | "task_tools" => {
            let id = fresh_id();
            let spec = json!({"where": place, "how": how});
            let created = ors.create(&id, &TaskSelector::Spec(spec).body("hostile"));
            if place == "task_tools" && created.status() == 200 {
                let session = ors.session("hostile", &id);
                response_has_code(&session.get("task_tools"), &[410, 500], code, &name);
                has_ended(&session, code, &name);
            } else {
                response_has_code(&created, &[500], code, &name);
                assert_eq!(ors.post_empty(&id, "/ping").status(), 404, "{name}");
            }
        }
        "setup" => {
            let session = hostile(ors, place, how);
            response_has_code(&session.get("prompt"), &[410, 500], code, &name);
            assert_eq!(session.delete().status(), 200);
        }
        "prompt" => {
            let session = hostile(ors, place, how);
            response_has_code(&session.get(place), &[410, 500], code, &name);
            has_ended(&session, code, &name);
        }
        "score_group" => {
            let session = hostile(ors, place, how);
            stream_has_code(&session.score(json!([])), code, &name);
            has_ended(&session, code, &name);
        }
        "teardown" => {
            let session = hostile(ors, place, how);
            assert_eq!(session.call("fine", json!({})).names(), ["task_id", "end"]);
            assert_eq!(session.delete().status(), 200, "{name}");
            assert_eq!(session.ping().status(), 404, "{name}");
        }
        _ => {
            let session = hostile(ors, place, how);
            let call = session.call("act", json!({ "how": how }));
            stream_has_code(&call, code, &name);
            has_ended(&session, code, &name);
        }
    }
}

/// Stops the other sessions when the test ends or fails.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn fifty_other_sessions_are_not_affected() {
    let server = server();
    let ors = server.ors();
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(Arc::clone(&stop));
    let calls = Arc::new(AtomicUsize::new(0));
    let sessions: Vec<SessionClient> = (0..50)
        .map(|_| ors.open("alpha", TaskSelector::At("train", 0)))
        .collect();
    let others: Vec<BackgroundTask<Duration>> = sessions
        .into_iter()
        .map(|session| {
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            BackgroundTask::spawn(move || {
                let (mut counter, mut longest) = (0, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    counter += 1;
                    let text = session.call("bump", json!({})).text();
                    assert_eq!(text, counter.to_string(), "a session lost its state");
                    longest = longest.max(start.elapsed());
                    calls.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(100));
                }
                longest
            })
        })
        .collect();

    for place in PLACES {
        for (how, code) in ATTACKS {
            attack(&ors, place, how, code);
        }
    }
    // These only wait, so they run concurrently.
    run_concurrently(PLACES.map(|place| {
        let ors = ors.clone();
        move || attack(&ors, place, "sleep_forever", "limit_wall")
    }));

    stop.store(true, Ordering::Relaxed);
    for other in others {
        let longest = other.join();
        // A session that waits for a sleeping guest would wait for at least five
        // seconds.
        assert!(longest < Duration::from_secs(4), "a call took {longest:?}");
    }
    assert!(calls.load(Ordering::Relaxed) >= 100);
}

#[test]
fn an_invalid_result_is_the_environments_fault() {
    // The guest has enough memory for its result, so the host refuses it.
    let server = ServeCommand::fixtures(&["hostile"])
        .set("--result-limit", "64KiB")
        .start();
    let ors = server.ors();
    for (how, code) in [
        ("nan_reward", "env_invalid_output"),
        ("bad_json", "env_invalid_output"),
        ("huge_output", "limit_output"),
    ] {
        let session = ors.open("hostile", TaskSelector::Spec(json!({})));
        let call = session.call("act", json!({ "how": how }));
        stream_has_code(&call, code, how);
        assert!(!String::from_utf8_lossy(&call.raw).contains("\"ok\":true"));
    }
}

#[test]
fn guest_text_cannot_forge_a_log_line() {
    let server = server();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let forged = "x\u{1b}[2Jx\nERROR forged by a guest\r\nsecond";
    let call = session.call("fail", json!({ "message": forged }));
    assert_eq!(call.names(), ["task_id", "error"]);
    session.call(forged, json!({}));
    let log = server.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(
        !log.lines().any(|line| line.starts_with("ERROR forged")),
        "{log}"
    );
}

#[test]
fn a_catalog_that_fails_one_query_answers_the_next() {
    let server = ServeCommand::fixtures(&["catalog-faults"]).start();
    let ors = server.ors();
    let session = ors.open("catalog-faults", TaskSelector::At("train", 0));
    for _ in 0..3 {
        let count = |split: &str| ors.post("/catalog-faults/num_tasks", &json!({ "split": split }));
        response_has_code(&count("panics"), &[500], "env_trap", "counting");
        assert_eq!(count("train").json(), json!({"num_tasks": 1}));
    }
    assert_eq!(session.call("fine", json!({})).text(), "fine");
}
