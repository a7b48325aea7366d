//! Before a session is ready, and when it never will be.

use std::time::{Duration, Instant};

use orwd_tests::expect::{detail, refuses, tool_names};
use orwd_tests::http::Response;
use orwd_tests::later::{Later, wait_until};
use orwd_tests::ors::Session;
use serde_json::{Value, json};

use crate::{open_on, ors};

/// Asks on another thread, so that the test can go on meanwhile.
fn later(
    session: &Session,
    ask: impl FnOnce(&Session) -> Response + Send + 'static,
) -> Later<Response> {
    let (ors, id) = (session.ors().clone(), session.id().to_owned());
    Later::run(move || {
        let session = ors.session("slow", &id);
        let answer = ask(&session);
        session.forget();
        answer
    })
}

fn probe() -> Value {
    json!({"name": "probe", "input": {}})
}

#[test]
fn nobody_waits_for_setup_who_need_not() {
    let start = Instant::now();
    let session = open_on("slow", json!({"setup_ms": 8000}));
    assert_eq!(session.ping().status(), 200);
    let listing = session.get("task_tools").json();
    assert_eq!(tool_names(&listing), ["probe"]);
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn prompt_messages_and_calls_wait_for_setup() {
    let session = open_on("slow", json!({"setup_ms": 1500}));
    let prompt = later(&session, |session| session.get("prompt"));
    let messages = later(&session, |session| session.get("messages"));
    let call = later(&session, |session| session.post("call", &probe()));
    assert_eq!(prompt.get().json()[0]["text"], "ready=true");
    let messages = messages.get().json();
    assert_eq!(messages[0]["blocks"][0]["text"], "ready=true");
    assert!(call.get().text().contains("ready=true"));
}

#[test]
fn scoring_waits_for_setup() {
    let session = open_on("slow", json!({"setup_ms": 1000}));
    let answer = session.post("score_group", &json!({"candidates": []}));
    refuses(
        &answer,
        404,
        "Environment 'slow' does not implement score_group",
    );
}

#[test]
fn a_failed_setup_is_told_to_everyone_until_the_session_is_deleted() {
    let session = open_on("broken", json!({"where": "setup"}));
    for _ in 0..2 {
        for answer in [
            session.get("prompt"),
            session.get("messages"),
            session.post("call", &probe()),
            session.post("score_group", &json!({"candidates": []})),
        ] {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let text = detail(&answer, 500);
            assert!(text.ends_with("setup exploded"), "{text}");
        }
    }
    assert!(detail(&session.get("task_tools"), 500).ends_with("setup exploded"));
    assert_eq!(session.ping().json(), json!({"status": "ok"}));
    let again = ors().create(session.id(), &json!({"task_spec": {}}));
    refuses(&again, 400, "Session already exists");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

#[test]
fn a_setup_that_fails_late_is_told_to_those_who_wait() {
    let session = open_on("slow", json!({"setup_ms": 800, "fail": "late boom"}));
    let text = detail(&session.get("prompt"), 500);
    assert!(text.ends_with("late boom"), "{text}");
}

#[test]
fn a_delete_during_setup_lets_the_waiting_go() {
    let session = open_on("slow", json!({"setup_ms": 20_000}));
    let waiting = [
        later(&session, |session| session.get("prompt")),
        later(&session, |session| session.post("call", &probe())),
    ];
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.iter().all(|request| !request.is_done()));
    let start = Instant::now();
    assert_eq!(session.delete().status(), 200);
    for request in waiting {
        refuses(&request.get(), 410, "Session deleted");
    }
    // The setup was cancelled and not waited for.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    wait_until("the session is gone", Duration::from_secs(5), || {
        session.ping().status() == 404
    });
}

#[test]
fn after_25_seconds_the_client_is_asked_to_come_again() {
    let session = open_on("slow", json!({"setup_ms": 29_000}));
    let start = Instant::now();
    let (prompt, call) = (
        later(&session, |session| session.get("prompt")),
        later(&session, |session| session.post("call", &probe())),
    );
    for answer in [prompt.get(), call.get()] {
        refuses(&answer, 503, "Environment still starting.");
        assert_eq!(answer.header("x-backend-state"), Some("starting"));
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    let waited = start.elapsed().as_secs_f64();
    assert!((24.0..28.9).contains(&waited), "{waited}");
    // The next request waits again, and gets what it waited for.
    assert_eq!(session.get("prompt").json()[0]["text"], "ready=true");
}
