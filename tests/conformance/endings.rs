//! How a session ends, and what it leaves behind.

use std::time::Duration;

use orwd_tests::expect::{NO_SESSION, is_json, refuses};
use orwd_tests::later::Later;
use orwd_tests::ors::fresh_id;
use serde_json::json;

use crate::{open, open_on, ors};

#[test]
fn a_delete_always_works() {
    let session = open("alpha");
    for _ in 0..3 {
        is_json(&session.delete(), 200, &json!({"sid": session.id()}));
    }
    let never = fresh_id();
    is_json(&ors().touch(&never, "/delete"), 200, &json!({"sid": never}));
}

#[test]
fn a_deleted_session_is_not_found_and_its_id_begins_anew() {
    let session = open("alpha");
    session.call("bump", json!({"by": 3}));
    session.delete();
    for route in ["prompt", "messages", "task_tools"] {
        refuses(&session.get(route), 404, NO_SESSION);
    }
    let call = session.post("call", &json!({"name": "bump", "input": {}}));
    refuses(&call, 404, NO_SESSION);
    refuses(&session.ping(), 404, NO_SESSION);

    let body = json!({"split": "train", "index": 1});
    assert_eq!(ors().create(session.id(), &body).status(), 200);
    assert_eq!(session.call("bump", json!({"by": 1})).text(), "1");
}

#[test]
fn to_delete_the_id_is_not_to_delete_the_session() {
    let session = open("alpha");
    let answer = ors().touch(session.id(), "/delete_session");
    is_json(&answer, 200, &json!({"sid": session.id()}));
    assert_eq!(session.ping().status(), 200);
}

#[test]
fn a_teardown_that_fails_is_nobody_elses_business() {
    let session = open_on("broken", json!({"where": "teardown"}));
    assert_eq!(session.call("probe", json!({})).text(), "fine");
    is_json(&session.delete(), 200, &json!({"sid": session.id()}));
    refuses(&session.ping(), 404, NO_SESSION);
}

#[test]
fn a_running_call_outlives_its_session() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 1500, "tag": "late"}));
    stream.task_id();
    let deleted = {
        let (ors, id) = (session.ors().clone(), session.id().to_owned());
        Later::run(move || ors.touch(&id, "/delete"))
    };
    let text = stream.finish().text();
    assert!(text.contains("late"), "{text}");
    assert_eq!(deleted.get().status(), 200);
    refuses(&session.ping(), 404, NO_SESSION);
}

#[test]
fn sessions_do_not_share_state() {
    let (one, other) = (open("alpha"), open("alpha"));
    one.call("bump", json!({"by": 5}));
    assert_eq!(other.call("bump", json!({"by": 1})).text(), "1");
    assert_eq!(one.call("bump", json!({"by": 1})).text(), "6");
}

#[test]
fn an_idle_session_of_the_usual_age_is_still_there() {
    let session = open("alpha");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}
