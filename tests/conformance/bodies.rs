//! Request bodies: what is JSON, what is refused, and which error wins when
//! there are several.

use orwd_tests::expect::{NO_ID, NO_SESSION, detail, invalid, is_json, refuses};
use orwd_tests::http::{Request, Response};
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::{Value, json};

use crate::{open, open_on, ors};

fn tasks(body: impl Into<Vec<u8>>) -> Response {
    ors().ask(&Request::post("/alpha/tasks").json_text(body))
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["null", "[]", "\"train\"", "3", "true"] {
        invalid(&tasks(body), "model_attributes_type", &json!(["body"]));
    }
}

#[test]
fn an_empty_body_is_a_missing_one() {
    let answer = tasks("");
    let message = invalid(&answer, "missing", &json!(["body"]));
    assert_eq!(message, "Field required");
    assert_eq!(answer.json()["detail"][0]["input"], Value::Null);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for body in [
        "{bad",
        "{\"split\":\"train\"",
        "{\"split\":\"train\"} x",
        "}",
    ] {
        let answer = tasks(body);
        assert_eq!(answer.status(), 422, "{body}: {answer:?}");
        let entry = &answer.json()["detail"][0];
        assert_eq!(entry["type"], "json_invalid");
        assert_eq!(entry["loc"][0], "body");
        assert!(entry["loc"][1].is_u64(), "{entry}");
        assert_eq!(entry["msg"], "JSON decode error");
        assert_eq!(entry["input"], json!({}));
        assert!(entry["ctx"]["error"].is_string(), "{entry}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let answer = tasks(b"{\"split\":\"\xff\"}".to_vec());
    refuses(&answer, 400, "There was an error parsing the body");
}

#[test]
fn messages_say_what_was_expected() {
    let check = |body: Value, kind: &str, place: Value, message: &str| {
        assert_eq!(invalid(&tasks(body.to_string()), kind, &place), message);
    };
    let split = || json!(["body", "split"]);
    check(json!({}), "missing", split(), "Field required");
    check(
        json!({"split": 1}),
        "string_type",
        split(),
        "Input should be a valid string",
    );
    check(
        json!({"split": "train", "more": 1}),
        "extra_forbidden",
        json!(["body", "more"]),
        "Extra inputs are not permitted",
    );
}

#[test]
fn every_fault_of_a_body_is_told() {
    let answer = tasks(r#"{"x":1,"y":2}"#);
    invalid(&answer, "missing", &json!(["body", "split"]));
    invalid(&answer, "extra_forbidden", &json!(["body", "x"]));
    invalid(&answer, "extra_forbidden", &json!(["body", "y"]));
}

#[test]
fn of_two_members_of_one_name_the_last_counts() {
    let answer = tasks(r#"{"split":"nope","split":"holdout"}"#);
    is_json(&answer, 200, &json!({"tasks": [], "env_name": "alpha"}));
}

#[test]
fn the_content_type_decides_whether_it_is_json() {
    let check = |content_type: Option<&str>, status: u16| {
        let mut request = Request::post("/alpha/num_tasks").body(r#"{"split":"train"}"#);
        if let Some(value) = content_type {
            request = request.header("Content-Type", value);
        }
        let answer = ors().ask(&request);
        assert_eq!(answer.status(), status, "{content_type:?}: {answer:?}");
        if status == 422 {
            invalid(&answer, "model_attributes_type", &json!(["body"]));
        }
    };
    check(Some("application/json"), 200);
    check(Some("application/json; charset=utf-8"), 200);
    check(Some("APPLICATION/JSON"), 200);
    check(Some("application/vnd.some+json"), 200);
    check(Some("text/plain"), 422);
    check(None, 422);
}

#[test]
fn answers_are_compact_and_not_escaped() {
    let answer = ors().post("/alpha/task", &json!({"split": "test", "index": 1}));
    assert_eq!(
        answer.text(),
        "{\"task\":{\"id\":\"test-1\",\"n\":101,\"note\":\"héllo \u{2028} 😀\"},\
         \"env_name\":\"alpha\"}"
    );
}

fn call(id: Option<&str>, body: &str) -> Response {
    let mut request = Request::post("/alpha/call").json_text(body);
    if let Some(id) = id {
        request = request.header(SESSION_HEADER, id);
    }
    ors().ask(&request)
}

#[test]
fn broken_json_comes_first_then_the_header_then_the_session_then_the_body() {
    let unknown = fresh_id();
    let session = open("alpha");
    for id in [None, Some(unknown.as_str()), Some(session.id())] {
        let answer = call(id, "{bad");
        assert_eq!(answer.json()["detail"][0]["type"], "json_invalid");
    }
    refuses(&call(None, "{}"), 400, NO_ID);
    refuses(&call(Some(&unknown), "{}"), 404, NO_SESSION);
    invalid(
        &call(Some(session.id()), "{}"),
        "missing",
        &json!(["body", "name"]),
    );

    let create = |body: &str| ors().ask(&Request::post("/create").json_text(body));
    assert_eq!(create("{bad").json()["detail"][0]["type"], "json_invalid");
    refuses(&create("{}"), 400, NO_ID);
}

#[test]
fn a_failed_setup_comes_before_a_bad_body() {
    let session = open_on("broken", json!({"where": "setup"}));
    let answer = session.post("call", &json!({}));
    assert!(detail(&answer, 500).ends_with("setup exploded"));
}

#[test]
fn a_bad_body_comes_before_an_unknown_environment() {
    let answer = ors().post("/health/tasks", &json!({}));
    invalid(&answer, "missing", &json!(["body", "split"]));
    let answer = ors().post("/health/tasks", &json!({"split": "train"}));
    refuses(&answer, 404, "unknown environment 'health'");
}

#[test]
fn calls_are_checked_for_their_shape() {
    let session = open("alpha");
    let check = |body: Value, kind: &str, place: Value| {
        invalid(&session.post("call", &body), kind, &place);
    };
    let field = |name: &str| json!(["body", name]);
    check(json!({"name": "echo"}), "missing", field("input"));
    check(json!({"input": {}}), "missing", field("name"));
    check(
        json!({"name": 1, "input": {}}),
        "string_type",
        field("name"),
    );
    for input in [json!(null), json!([]), json!("{}"), json!(3)] {
        let body = json!({"name": "echo", "input": input});
        check(body, "dict_type", field("input"));
    }
    check(
        json!({"name": "echo", "input": {}, "x": 1}),
        "extra_forbidden",
        field("x"),
    );
    check(
        json!({"name": "echo", "input": {}, "task_id": 3}),
        "string_type",
        field("task_id"),
    );
    // A resume is checked in the same way.
    check(
        json!({"input": {}, "task_id": "any"}),
        "missing",
        field("name"),
    );
}
