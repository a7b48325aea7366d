//! Guests that do their worst, in every function that the host calls, with
//! fifty sessions beside them that must notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use orwd_tests::expect::detail;
use orwd_tests::http::Response;
use orwd_tests::later::Later;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};
use orwd_tests::server::{Serve, Server};
use orwd_tests::stream::Transcript;
use serde_json::json;

/// What a guest does, and the code that its client is told.
const ATTACKS: [(&str, &str); 7] = [
    ("loop", "limit_cpu"),
    ("eat_memory", "limit_memory"),
    ("overflow_stack", "env_trap"),
    ("panic", "env_trap"),
    ("abort", "env_trap"),
    ("sleep_forever", "limit_wall"),
    ("exit", "env_exit"),
];

fn server() -> Server {
    Serve::fixtures(&["alpha", "hostile"])
        .set("--memory", "32MiB")
        .set("--call-cpu", "400ms")
        .set("--call-wall", "5s")
        .set("--setup-cpu", "400ms")
        .set("--setup-wall", "5s")
        .set("--teardown-cpu", "400ms")
        .set("--teardown-wall", "2s")
        .start()
}

fn hostile(ors: &Ors, place: &str, how: &str) -> Session {
    ors.open("hostile", Task::Spec(json!({"where": place, "how": how})))
}

#[track_caller]
fn tells(text: &str, code: &str, story: &str) {
    assert!(text.starts_with(&format!("{code}: ")), "{story}: {text}");
    assert!(!text.contains('\n'), "{story}: {text}");
}

#[track_caller]
fn told_by_answer(answer: &Response, statuses: &[u16], code: &str, story: &str) {
    assert!(statuses.contains(&answer.status()), "{story}: {answer:?}");
    let text = detail(answer, answer.status());
    assert!(text.contains(code), "{story}: {text}");
}

#[track_caller]
fn told_by_stream(call: &Transcript, code: &str, story: &str) {
    assert_eq!(call.names(), ["task_id", "error"], "{story}");
    tells(call.error(), code, story);
}

/// The session is over, and says why.
#[track_caller]
fn is_over(session: &Session, code: &str, story: &str) {
    let call = session.post("call", &json!({"name": "fine", "input": {}}));
    told_by_answer(&call, &[410], code, story);
    assert_eq!(session.delete().status(), 200, "{story}");
    assert_eq!(session.ping().status(), 404, "{story}");
}

/// One attack in one place, seen from the attacker's own client.
fn attack(ors: &Ors, place: &str, how: &str, code: &str) {
    let story = format!("{how} in {place}");
    match place {
        // The listing of a task's tools may be asked for as early as that.
        "open" | "task_tools" => {
            let id = fresh_id();
            let spec = json!({"where": place, "how": how});
            let created = ors.create(&id, &Task::Spec(spec).body("hostile"));
            if place == "task_tools" && created.status() == 200 {
                let session = ors.session("hostile", &id);
                told_by_answer(&session.get("task_tools"), &[410, 500], code, &story);
                is_over(&session, code, &story);
            } else {
                told_by_answer(&created, &[500], code, &story);
                assert_eq!(ors.touch(&id, "/ping").status(), 404, "{story}");
            }
        }
        "setup" => {
            let session = hostile(ors, place, how);
            told_by_answer(&session.get("prompt"), &[410, 500], code, &story);
            assert_eq!(session.delete().status(), 200);
        }
        "prompt" => {
            let session = hostile(ors, place, how);
            told_by_answer(&session.get(place), &[410, 500], code, &story);
            is_over(&session, code, &story);
        }
        "score_group" => {
            let session = hostile(ors, place, how);
            told_by_stream(&session.score(json!([])), code, &story);
            is_over(&session, code, &story);
        }
        "teardown" => {
            let session = hostile(ors, place, how);
            assert_eq!(session.call("fine", json!({})).names(), ["task_id", "end"]);
            assert_eq!(session.delete().status(), 200, "{story}");
            assert_eq!(session.ping().status(), 404, "{story}");
        }
        _ => {
            let session = hostile(ors, place, how);
            let call = session.call("act", json!({ "how": how }));
            told_by_stream(&call, code, &story);
            is_over(&session, code, &story);
        }
    }
}

/// Lets the others end when the test does, however it does.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn fifty_others_notice_nothing() {
    let server = server();
    let ors = server.ors();
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = Stop(Arc::clone(&stop));
    let calls = Arc::new(AtomicUsize::new(0));
    let sessions: Vec<Session> = (0..50)
        .map(|_| ors.open("alpha", Task::At("train", 0)))
        .collect();
    let others: Vec<Later<Duration>> = sessions
        .into_iter()
        .map(|session| {
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            Later::run(move || {
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

    for place in [
        "call",
        "open",
        "setup",
        "prompt",
        "task_tools",
        "score_group",
        "teardown",
    ] {
        for (how, code) in ATTACKS {
            attack(&ors, place, how, code);
        }
    }

    stop.store(true, Ordering::Relaxed);
    for other in others {
        let longest = other.get();
        // Whoever had to wait for a guest that sleeps would wait for five
        // seconds at least.
        assert!(longest < Duration::from_secs(4), "a call took {longest:?}");
    }
    assert!(calls.load(Ordering::Relaxed) >= 100);
}

#[test]
fn a_result_that_is_none_is_the_environments_fault() {
    // The guest has room for its result, so that it is the host that refuses.
    let server = Serve::fixtures(&["hostile"])
        .set("--result-limit", "64KiB")
        .start();
    let ors = server.ors();
    for (how, code) in [
        ("nan_reward", "env_invalid_output"),
        ("bad_json", "env_invalid_output"),
        ("huge_output", "limit_output"),
    ] {
        let session = ors.open("hostile", Task::Spec(json!({})));
        let call = session.call("act", json!({ "how": how }));
        told_by_stream(&call, code, how);
        assert!(!String::from_utf8_lossy(&call.raw).contains("\"ok\":true"));
    }
}

#[test]
fn what_a_guest_says_cannot_forge_a_line_of_the_log() {
    let server = server();
    let session = server.ors().open("alpha", Task::At("train", 0));
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
fn a_catalog_that_fails_one_question_answers_the_next() {
    let server = Serve::fixtures(&["moody"]).start();
    let ors = server.ors();
    let session = ors.open("moody", Task::At("train", 0));
    for _ in 0..3 {
        let count = |split: &str| ors.post("/moody/num_tasks", &json!({ "split": split }));
        told_by_answer(&count("cursed"), &[500], "env_trap", "counting");
        assert_eq!(count("train").json(), json!({"num_tasks": 1}));
    }
    assert_eq!(session.call("fine", json!({})).text(), "fine");
}
