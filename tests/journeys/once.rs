//! What clients send again when they have lost the answer: it runs once.

use std::time::Duration;

use orwd_tests::expect::detail;
use orwd_tests::ors::{Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use orwd_tests::stream::Stream;
use serde_json::json;

use crate::durable::{Host, bump, call_with, journal_has, until};

#[test]
fn a_call_that_is_sent_again_without_an_id_does_not_run_twice() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    let sleep = json!({"ms": 1500, "tag": "again"});

    // In one process: the connection broke before the answer was through.
    let mut stream = session.start("sleep", sleep.clone());
    let task_id = stream.task_id();
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    let again = session.call("sleep", sleep.clone());
    assert_eq!(again.task_id(), task_id);
    assert!(again.text().contains(r#""start": 1"#));
    // The same once more is another call: the answer to the first was read.
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
    until(|| journal_has(&scratch, "across-it"));
    server.kill();
    let _server = host.alpha();
    let again = session.call("sleep", long);
    assert_eq!(again.task_id(), task_id);
    assert!(again.text().contains(r#""start": 5"#), "{}", again.text());
}

#[test]
fn a_key_names_a_call_for_good() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch).set("--result-linger", "1s");
    let mut server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    let ask = |by: i64, key: &str| {
        let body = json!({"name": "bump", "input": {"by": by}});
        call_with(&session, &[("Idempotency-Key", key)], &body)
    };
    let run = |by: i64, key: &str| session.ors().transcript(&ask(by, key));
    let first = run(3, "a");
    assert_eq!(first.text(), "3");
    assert_eq!(run(3, "a").events, first.events);
    assert_eq!(run(3, "b").text(), "6");
    detail(&session.ors().ask(&ask(4, "a")), 409);
    detail(&session.ors().ask(&ask(4, "")), 400);
    until(|| session.resume(first.task_id()).names() == ["error"]);
    assert_eq!(run(3, "a").events, first.events, "from the journal");
    server.kill();
    let _server = host.alpha();
    assert_eq!(run(3, "a").text(), "3");
    assert_eq!(run(3, "b").text(), "6");
    assert_eq!(run(3, "c").text(), "9");
}

#[test]
fn a_call_with_a_key_is_the_same_with_its_id_and_without() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let session = server.ors().open("alpha", Task::At("train", 0));
    let ahead = session.start("sleep", json!({"ms": 3000, "tag": "is-ahead"}));
    let body = json!({"name": "bump", "input": {"by": 10}});
    let key = [("Idempotency-Key", "k")];
    let keyed = call_with(&session, &key, &body);
    let mut waiting = Stream::open(session.ors().client(), &keyed);
    let id = waiting.task_id();
    until(|| journal_has(&scratch, "is-ahead"));
    server.kill();
    drop((ahead, waiting));

    // It reached no journal; the client has its id, then loses that as well.
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
fn an_id_is_free_again_when_the_calls_of_its_last_life_are_through() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    assert_eq!(bump(&session, 7), "7");
    let mut stream = session.start("sleep", json!({"ms": 2500, "tag": "to-the-end"}));
    stream.task_id();
    until(|| journal_has(&scratch, "to-the-end"));
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
    let body = Task::At("train", 0).body("alpha");
    assert_eq!(ors.create(session.id(), &body).status(), 200);
    assert!(stream.finish().text().contains("to-the-end"));
    assert_eq!(bump(&session, 1), "1", "another life");
    server.kill();
    let server = host.alpha();
    assert_eq!(bump(&session, 1), "2", "{}", server.log());
}

#[test]
fn a_creation_may_come_again_if_its_answer_was_lost() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.start(Serve::fixtures(&["alpha", "slow"]));
    let ors = server.ors();
    let id = fresh_id();
    let body = json!({"env_name": "alpha", "split": "train", "index": 1});
    assert_eq!(ors.create(&id, &body).status(), 200);
    // It was read, so that this is another one.
    assert_eq!(
        detail(&ors.create(&id, &body), 400),
        "Session already exists"
    );
    server.kill();
    let server = host.start(Serve::fixtures(&["alpha", "slow"]));
    // Now nobody knows.
    let other = json!({"env_name": "alpha", "split": "train", "index": 2});
    assert_eq!(ors.create(&id, &other).status(), 400);
    assert_eq!(ors.create(&id, &body).status(), 200);
    assert_eq!(ors.create(&id, &body).status(), 400, "this one was read");
    let session = ors.session("alpha", &id);
    assert_eq!(bump(&session, 1), "1", "{}", server.log());
}
