//! Runs can be resumed: after a disconnect, by several readers, after the end;
//! but only by their own session.

use orwd_tests::background::{BackgroundTask, run_concurrently};
use serde_json::json;

use crate::support::{deviates, open, open_on, ors};

#[test]
fn a_resumed_run_does_not_run_again() {
    let session = open("alpha");
    let first = session.call("bump", json!({"by": 7}));
    for _ in 0..2 {
        assert_eq!(session.resume(first.task_id()).events, first.events);
    }
    assert_eq!(session.call("bump", json!({"by": 0})).text(), "7");
}

#[test]
fn only_the_id_counts_when_a_run_is_resumed() {
    let session = open("alpha");
    let first = session.call("bump", json!({"by": 7}));
    let again = |name: &str, input: serde_json::Value| {
        let body = json!({"name": name, "input": input, "task_id": first.task_id()});
        session.post_request("call", &body)
    };
    let requests = [
        again("bump", json!({"by": 100})),
        again("fail", json!({"message": "no"})),
        again("nosuch", json!({})),
        again("bump", json!({"by": "many"})),
    ];
    let asked = (0..40).map(|n| {
        let (ors, request) = (ors().clone(), requests[n % requests.len()].clone());
        move || ors.transcript(&request).events
    });
    for events in run_concurrently(asked) {
        assert_eq!(events, first.events);
    }
    let after = session.call("bump", json!({"by": 0})).text();
    assert_eq!(after, "7", "it ran once, with the first input");
}

#[test]
fn an_error_can_be_resumed() {
    let session = open("alpha");
    let first = session.call("fail", json!({"message": "once"}));
    assert_eq!(session.resume(first.task_id()).events, first.events);
}

#[test]
fn a_refusal_can_be_resumed() {
    let session = open("alpha");
    let first = session.call("nosuch", json!({}));
    assert_eq!(session.resume(first.task_id()).events, first.events);
}

#[test]
fn a_long_result_is_resumed_from_its_start() {
    let session = open("alpha");
    let first = session.call("big", json!({"unit": "0123456789", "count": 5000}));
    assert!(first.events.len() > 10);
    assert_eq!(session.resume(first.task_id()).events, first.events);
}

#[test]
fn a_disconnect_does_not_cancel_the_run() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 1200, "tag": "d"}));
    let task_id = stream.task_id();
    drop(stream);
    let resumed = session.resume(&task_id);
    assert_eq!(resumed.task_id(), task_id);
    let expected = r#"{"tag": "d", "start": 1, "end": 2}"#;
    assert_eq!(resumed.text(), expected);
    // It ran once.
    let next = session.call("sleep", json!({"ms": 0})).text();
    assert!(next.contains(r#""start": 3"#), "{next}");
}

#[test]
fn several_readers_wait_for_one_run() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 1000, "tag": "all"}));
    let task_id = stream.task_id();
    let (ors, id) = (session.ors().clone(), session.id().to_owned());
    let readers = BackgroundTask::spawn(move || {
        run_concurrently((0..4).map(|_| {
            let (ors, id, task_id) = (ors.clone(), id.clone(), task_id.clone());
            move || {
                let session = ors.session("alpha", &id);
                let events = session.resume(&task_id).events;
                session.leave_open();
                events
            }
        }))
    });
    let first = stream.finish().events;
    for events in readers.join() {
        assert_eq!(events, first);
    }
}

#[test]
fn a_client_cannot_choose_a_run_id() {
    let session = open("alpha");
    for task_id in ["chosen-by-client", "", "0123456789abcdef0123456789abcdef"] {
        let body = json!({"name": "bump", "input": {}, "task_id": task_id});
        let call = ors().transcript(&session.post_request("call", &body));
        assert_eq!(call.names(), ["error"]);
        assert_eq!(call.error(), "unknown task_id");
    }
    assert_eq!(session.call("bump", json!({})).text(), "1", "nothing ran");
    // A null id counts as none.
    let body = json!({"name": "bump", "input": {}, "task_id": null});
    let call = ors().transcript(&session.post_request("call", &body));
    assert_eq!(call.names(), ["task_id", "end"]);
}

#[test]
fn a_run_belongs_to_its_session() {
    if !deviates("a run can be resumed by its own session only") {
        return;
    }
    let (owner, stranger) = (open("alpha"), open("alpha"));
    let run = owner.call("echo", json!({"text": "private"}));
    let other = stranger.resume(run.task_id());
    assert_eq!(other.names(), ["error"]);
    assert_eq!(other.error(), "unknown task_id");
    assert_eq!(owner.resume(run.task_id()).events, run.events);
}

#[test]
fn a_recreated_session_has_no_old_runs() {
    if !deviates("a run can be resumed by its own session only") {
        return;
    }
    let session = open("alpha");
    let run = session.call("echo", json!({"text": "before"}));
    session.delete();
    let body = json!({"split": "train", "index": 0});
    assert_eq!(ors().create(session.id(), &body).status(), 200);
    assert_eq!(session.resume(run.task_id()).error(), "unknown task_id");
}

#[test]
fn scores_can_be_resumed() {
    let session = open_on("chat", json!({}));
    let first = session.score(json!([]));
    let body = json!({"candidates": [], "task_id": first.task_id()});
    let again = ors().transcript(&session.post_request("score_group", &body));
    assert_eq!(again.events, first.events);
}
