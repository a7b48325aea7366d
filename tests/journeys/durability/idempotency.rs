//! Requests that clients retry after losing the response: they run once.

use std::time::Duration;

use orwd_tests::expect::error_detail;
use orwd_tests::ors::{EventStream, TaskSelector, fresh_id};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::restartable_server::{RestartableServer, bump, call_with, journal_contains, until};

#[test]
fn a_retried_call_without_an_id_runs_once() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let sleep = json!({"ms": 1500, "tag": "again"});

    // Without a restart: the connection broke before the response was complete.
    let mut stream = session.start("sleep", sleep.clone());
    let task_id = stream.task_id();
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    let again = session.call("sleep", sleep.clone());
    assert_eq!(again.task_id(), task_id);
    assert!(again.text().contains(r#""start": 1"#));
    // A third, identical call is a new one: the response to the retry was read.
    assert!(
        session
            .call("sleep", sleep.clone())
            .text()
            .contains(r#""start": 3"#)
    );

    // Across a kill.
    let long = json!({"ms": 2500, "tag": "across-it"});
    let mut stream = session.start("sleep", long.clone());
    let task_id = stream.task_id();
    until(|| journal_contains(&scratch, "across-it"));
    server.kill();
    let _server = host.alpha();
    let again = session.call("sleep", long);
    assert_eq!(again.task_id(), task_id);
    assert!(again.text().contains(r#""start": 5"#), "{}", again.text());
}

#[test]
fn an_idempotency_key_names_a_call_permanently() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch).set("--result-ttl", "1s");
    let mut server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let ask = |by: i64, key: &str| {
        let body = json!({"name": "bump", "input": {"by": by}});
        call_with(&session, &[("Idempotency-Key", key)], &body)
    };
    let run = |by: i64, key: &str| session.ors().transcript(&ask(by, key));
    let first = run(3, "a");
    assert_eq!(first.text(), "3");
    assert_eq!(run(3, "a").events, first.events);
    assert_eq!(run(3, "b").text(), "6");
    error_detail(&session.ors().fetch(&ask(4, "a")), 409);
    error_detail(&session.ors().fetch(&ask(4, "")), 400);
    until(|| session.resume(first.task_id()).names() == ["error"]);
    assert_eq!(run(3, "a").events, first.events, "from the journal");
    server.kill();
    let _server = host.alpha();
    assert_eq!(run(3, "a").text(), "3");
    assert_eq!(run(3, "b").text(), "6");
    assert_eq!(run(3, "c").text(), "9");
}

#[test]
fn a_call_with_a_key_is_the_same_with_and_without_its_id() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    let ahead = session.start("sleep", json!({"ms": 3000, "tag": "is-ahead"}));
    let body = json!({"name": "bump", "input": {"by": 10}});
    let key = [("Idempotency-Key", "k")];
    let keyed = call_with(&session, &key, &body);
    let mut waiting = EventStream::open(session.ors().client(), &keyed);
    let id = waiting.task_id();
    until(|| journal_contains(&scratch, "is-ahead"));
    server.kill();
    drop((ahead, waiting));

    // The call is not in the journal; the client has its id, then loses it too.
    let _server = host.alpha();
    let mut with_id = body.clone();
    with_id["task_id"] = json!(id);
    for request in [call_with(&session, &key, &with_id), keyed.clone(), keyed] {
        let run = session.ors().transcript(&request);
        assert_eq!((run.task_id(), &*run.text()), (&*id, "10"));
    }
    assert_eq!(bump(&session, 0), "10", "once");
}

#[test]
fn a_session_id_can_be_reused_after_its_last_call() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(bump(&session, 7), "7");
    let mut stream = session.start("sleep", json!({"ms": 2500, "tag": "to-the-end"}));
    stream.task_id();
    until(|| journal_contains(&scratch, "to-the-end"));
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
    let body = TaskSelector::At("train", 0).body("alpha");
    assert_eq!(ors.create(session.id(), &body).status(), 200);
    assert!(stream.finish().text().contains("to-the-end"));
    assert_eq!(bump(&session, 1), "1", "a new session");
    server.kill();
    let server = host.alpha();
    assert_eq!(bump(&session, 1), "2", "{}", server.log());
}

#[test]
fn a_creation_may_be_retried_if_its_response_was_lost() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.start(ServeCommand::fixtures(&["alpha", "slow"]));
    let ors = server.ors();
    let id = fresh_id();
    let body = json!({"env_name": "alpha", "split": "train", "index": 1});
    assert_eq!(ors.create(&id, &body).status(), 200);
    // The response was read, so this is not a retry.
    assert_eq!(
        error_detail(&ors.create(&id, &body), 400),
        "Session already exists"
    );
    server.kill();
    let server = host.start(ServeCommand::fixtures(&["alpha", "slow"]));
    // After the kill, the response may have been lost.
    let other = json!({"env_name": "alpha", "split": "train", "index": 2});
    assert_eq!(ors.create(&id, &other).status(), 400);
    assert_eq!(ors.create(&id, &body).status(), 200);
    assert_eq!(
        ors.create(&id, &body).status(),
        400,
        "this response was read"
    );
    let session = ors.session("alpha", &id);
    assert_eq!(bump(&session, 1), "1", "{}", server.log());
}
