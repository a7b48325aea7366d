//! The setup of a session: requests that wait for it, and failures.

use std::time::{Duration, Instant};

use orwd_tests::background::{BackgroundTask, wait_until};
use orwd_tests::expect::{assert_error, error_detail, tool_names};
use orwd_tests::http::HttpResponse;
use orwd_tests::ors::SessionClient;
use serde_json::{Value, json};

use crate::support::{open_on, ors};

/// Sends a request from another thread.
fn in_background(
    session: &SessionClient,
    send: impl FnOnce(&SessionClient) -> HttpResponse + Send + 'static,
) -> BackgroundTask<HttpResponse> {
    let (ors, id) = (session.ors().clone(), session.id().to_owned());
    BackgroundTask::spawn(move || {
        let session = ors.session("slow", &id);
        let response = send(&session);
        session.leave_open();
        response
    })
}

fn probe() -> Value {
    json!({"name": "probe", "input": {}})
}

#[test]
fn some_routes_do_not_wait_for_setup() {
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
    let prompt = in_background(&session, |session| session.get("prompt"));
    let messages = in_background(&session, |session| session.get("messages"));
    let call = in_background(&session, |session| session.post("call", &probe()));
    assert_eq!(prompt.join().json()[0]["text"], "ready=true");
    let messages = messages.join().json();
    assert_eq!(messages[0]["blocks"][0]["text"], "ready=true");
    assert!(call.join().text().contains("ready=true"));
}

#[test]
fn scoring_waits_for_setup() {
    let session = open_on("slow", json!({"setup_ms": 1000}));
    let answer = session.post("score_group", &json!({"candidates": []}));
    assert_error(
        &answer,
        404,
        "Environment 'slow' does not implement score_group",
    );
}

#[test]
fn a_failed_setup_is_reported_until_the_session_is_deleted() {
    let session = open_on("broken", json!({"where": "setup"}));
    for _ in 0..2 {
        for answer in [
            session.get("prompt"),
            session.get("messages"),
            session.post("call", &probe()),
            session.post("score_group", &json!({"candidates": []})),
        ] {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let text = error_detail(&answer, 500);
            assert!(text.ends_with("setup exploded"), "{text}");
        }
    }
    assert!(error_detail(&session.get("task_tools"), 500).ends_with("setup exploded"));
    assert_eq!(session.ping().json(), json!({"status": "ok"}));
    let again = ors().create(session.id(), &json!({"task_spec": {}}));
    assert_error(&again, 400, "Session already exists");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

#[test]
fn a_late_setup_failure_is_reported_to_waiting_requests() {
    let session = open_on("slow", json!({"setup_ms": 800, "fail": "late boom"}));
    let text = error_detail(&session.get("prompt"), 500);
    assert!(text.ends_with("late boom"), "{text}");
}

#[test]
fn a_delete_during_setup_ends_waiting_requests() {
    let session = open_on("slow", json!({"setup_ms": 20_000}));
    let waiting = [
        in_background(&session, |session| session.get("prompt")),
        in_background(&session, |session| session.post("call", &probe())),
    ];
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.iter().all(|request| !request.is_finished()));
    let start = Instant::now();
    assert_eq!(session.delete().status(), 200);
    for request in waiting {
        assert_error(&request.join(), 410, "Session deleted");
    }
    // The setup was cancelled.
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
fn after_25_seconds_of_setup_the_client_is_asked_to_retry() {
    let session = open_on("slow", json!({"setup_ms": 29_000}));
    let start = Instant::now();
    let (prompt, call) = (
        in_background(&session, |session| session.get("prompt")),
        in_background(&session, |session| session.post("call", &probe())),
    );
    for answer in [prompt.join(), call.join()] {
        assert_error(&answer, 503, "Environment still starting.");
        assert_eq!(answer.header("x-backend-state"), Some("starting"));
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    let waited = start.elapsed().as_secs_f64();
    assert!((24.0..28.9).contains(&waited), "{waited}");
    // The next request waits again, until the setup has ended.
    assert_eq!(session.get("prompt").json()[0]["text"], "ready=true");
}
