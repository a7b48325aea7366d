//! Deleting a session, and what remains of it.

use std::time::Duration;

use orwd_tests::background::BackgroundTask;
use orwd_tests::expect::{NO_SESSION, assert_error, assert_json};
use orwd_tests::ors::fresh_id;
use serde_json::json;

use crate::support::{open, open_on, ors};

#[test]
fn delete_always_succeeds() {
    let session = open("alpha");
    for _ in 0..3 {
        assert_json(&session.delete(), 200, &json!({"sid": session.id()}));
    }
    let never = fresh_id();
    assert_json(
        &ors().post_empty(&never, "/delete"),
        200,
        &json!({"sid": never}),
    );
}

#[test]
fn a_deleted_session_is_not_found_and_its_id_can_be_reused() {
    let session = open("alpha");
    session.call("bump", json!({"by": 3}));
    session.delete();
    for route in ["prompt", "messages", "task_tools"] {
        assert_error(&session.get(route), 404, NO_SESSION);
    }
    let call = session.post("call", &json!({"name": "bump", "input": {}}));
    assert_error(&call, 404, NO_SESSION);
    assert_error(&session.ping(), 404, NO_SESSION);

    let body = json!({"split": "train", "index": 1});
    assert_eq!(ors().create(session.id(), &body).status(), 200);
    assert_eq!(session.call("bump", json!({"by": 1})).text(), "1");
}

#[test]
fn delete_session_does_not_delete_the_session() {
    let session = open("alpha");
    let answer = ors().post_empty(session.id(), "/delete_session");
    assert_json(&answer, 200, &json!({"sid": session.id()}));
    assert_eq!(session.ping().status(), 200);
}

#[test]
fn a_failed_teardown_does_not_fail_the_delete() {
    let session = open_on("broken", json!({"where": "teardown"}));
    assert_eq!(session.call("probe", json!({})).text(), "fine");
    assert_json(&session.delete(), 200, &json!({"sid": session.id()}));
    assert_error(&session.ping(), 404, NO_SESSION);
}

#[test]
fn a_running_call_outlives_its_session() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 1500, "tag": "late"}));
    stream.task_id();
    let deleted = {
        let (ors, id) = (session.ors().clone(), session.id().to_owned());
        BackgroundTask::spawn(move || ors.post_empty(&id, "/delete"))
    };
    let text = stream.finish().text();
    assert!(text.contains("late"), "{text}");
    assert_eq!(deleted.join().status(), 200);
    assert_error(&session.ping(), 404, NO_SESSION);
}

#[test]
fn sessions_do_not_share_state() {
    let (one, other) = (open("alpha"), open("alpha"));
    one.call("bump", json!({"by": 5}));
    assert_eq!(other.call("bump", json!({"by": 1})).text(), "1");
    assert_eq!(one.call("bump", json!({"by": 1})).text(), "6");
}

#[test]
fn a_session_survives_seconds_of_idleness() {
    let session = open("alpha");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}
