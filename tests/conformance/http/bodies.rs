//! Request bodies: what is accepted as JSON, what is refused, and which of
//! several errors is reported.

use orwd_tests::expect::{
    NO_ID, NO_SESSION, assert_error, assert_invalid, assert_json, error_detail,
};
use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::{Value, json};

use crate::support::{deviates, open, open_on, ors};

fn tasks(body: impl Into<Vec<u8>>) -> HttpResponse {
    ors().fetch(&HttpRequest::post("/alpha/tasks").json_text(body))
}

#[test]
fn a_body_that_is_not_an_object_is_refused() {
    for body in ["null", "[]", "\"train\"", "3", "true"] {
        assert_invalid(&tasks(body), "model_attributes_type", &json!(["body"]));
    }
}

#[test]
fn an_empty_body_is_a_missing_body() {
    let answer = tasks("");
    let message = assert_invalid(&answer, "missing", &json!(["body"]));
    assert_eq!(message, "Field required");
    assert_eq!(answer.json()["detail"][0]["input"], Value::Null);
}

#[test]
fn invalid_json_is_refused_with_its_position() {
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
fn numbers_that_json_cannot_express_are_read() {
    // A field of another kind refuses them.
    let check = |body: &str, kind: &str, field: &str| {
        let request = HttpRequest::post("/alpha/task").json_text(body);
        assert_invalid(&ors().fetch(&request), kind, &json!(["body", field]));
    };
    check(r#"{"split":NaN,"index":0}"#, "string_type", "split");
    check(
        r#"{"split":"train","index":-Infinity}"#,
        "finite_number",
        "index",
    );
    for body in [
        "{\"split\":nan}",
        "{\"split\":-NaN}",
        "{\"split\":+Infinity}",
        "{NaN:1}",
    ] {
        assert_eq!(
            tasks(body).json()["detail"][0]["type"],
            "json_invalid",
            "{body}"
        );
    }

    let id = fresh_id();
    let create = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json_text(r#"{"env_name":"alpha","task_spec":{"id":"x","a":[NaN,{"b":Infinity}]}}"#);
    assert_eq!(ors().fetch(&create).status(), 200);
    let session = ors().session("alpha", &id);
    assert_eq!(session.get("prompt").json()[0]["text"], "task x");
    if deviates("the numbers are null for the environment") {
        let spec: Value = serde_json::from_str(&session.call("spec", json!({})).text()).unwrap();
        assert_eq!(spec, json!({"id": "x", "a": [null, {"b": null}]}));
        let call = HttpRequest::post("/alpha/call")
            .header(SESSION_HEADER, &id)
            .json_text(r#"{"name":"echo","input":{"text":"x","upper":[1,-Infinity]}}"#);
        let (reason, error) = ors().transcript(&call).refusal();
        assert_eq!(reason, "input_validation");
        assert!(
            error.contains("upper[1]: Input should be a finite number"),
            "{error}"
        );
        let unknown = HttpRequest::post("/alpha/call")
            .header(SESSION_HEADER, &id)
            .json_text(r#"{"name":"nosuch","input":{"a":NaN}}"#);
        assert_eq!(ors().transcript(&unknown).refusal().0, "not_found");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let answer = tasks(b"{\"split\":\"\xff\"}".to_vec());
    assert_error(&answer, 400, "There was an error parsing the body");
}

#[test]
fn messages_name_the_expected_type() {
    let check = |body: Value, kind: &str, place: Value, message: &str| {
        assert_eq!(
            assert_invalid(&tasks(body.to_string()), kind, &place),
            message
        );
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
fn every_error_of_a_body_is_reported() {
    let answer = tasks(r#"{"x":1,"y":2}"#);
    assert_invalid(&answer, "missing", &json!(["body", "split"]));
    assert_invalid(&answer, "extra_forbidden", &json!(["body", "x"]));
    assert_invalid(&answer, "extra_forbidden", &json!(["body", "y"]));
}

#[test]
fn the_last_of_duplicate_members_counts() {
    let answer = tasks(r#"{"split":"nope","split":"holdout"}"#);
    assert_json(&answer, 200, &json!({"tasks": [], "env_name": "alpha"}));
}

#[test]
fn the_content_type_decides_whether_it_is_json() {
    let check = |content_type: Option<&str>, status: u16| {
        let mut request = HttpRequest::post("/alpha/num_tasks").body(r#"{"split":"train"}"#);
        if let Some(value) = content_type {
            request = request.header("Content-Type", value);
        }
        let answer = ors().fetch(&request);
        assert_eq!(answer.status(), status, "{content_type:?}: {answer:?}");
        if status == 422 {
            assert_invalid(&answer, "model_attributes_type", &json!(["body"]));
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
fn responses_are_compact_and_not_escaped() {
    let answer = ors().post("/alpha/task", &json!({"split": "test", "index": 1}));
    assert_eq!(
        answer.text(),
        "{\"task\":{\"id\":\"test-1\",\"n\":101,\"note\":\"héllo \u{2028} 😀\"},\
         \"env_name\":\"alpha\"}"
    );
}

fn call(id: Option<&str>, body: &str) -> HttpResponse {
    let mut request = HttpRequest::post("/alpha/call").json_text(body);
    if let Some(id) = id {
        request = request.header(SESSION_HEADER, id);
    }
    ors().fetch(&request)
}

#[test]
fn errors_are_reported_in_the_order_json_header_session_body() {
    let unknown = fresh_id();
    let session = open("alpha");
    for id in [None, Some(unknown.as_str()), Some(session.id())] {
        let answer = call(id, "{bad");
        assert_eq!(answer.json()["detail"][0]["type"], "json_invalid");
    }
    assert_error(&call(None, "{}"), 400, NO_ID);
    assert_error(&call(Some(&unknown), "{}"), 404, NO_SESSION);
    assert_invalid(
        &call(Some(session.id()), "{}"),
        "missing",
        &json!(["body", "name"]),
    );

    let create = |body: &str| ors().fetch(&HttpRequest::post("/create").json_text(body));
    assert_eq!(create("{bad").json()["detail"][0]["type"], "json_invalid");
    assert_error(&create("{}"), 400, NO_ID);
}

#[test]
fn a_failed_setup_is_reported_before_a_bad_body() {
    let session = open_on("broken", json!({"where": "setup"}));
    let answer = session.post("call", &json!({}));
    assert!(error_detail(&answer, 500).ends_with("setup exploded"));
}

#[test]
fn a_bad_body_is_reported_before_an_unknown_environment() {
    let answer = ors().post("/health/tasks", &json!({}));
    assert_invalid(&answer, "missing", &json!(["body", "split"]));
    let answer = ors().post("/health/tasks", &json!({"split": "train"}));
    assert_error(&answer, 404, "unknown environment 'health'");
}

#[test]
fn calls_are_checked_for_their_shape() {
    let session = open("alpha");
    let check = |body: Value, kind: &str, place: Value| {
        assert_invalid(&session.post("call", &body), kind, &place);
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
    // The request to resume a run is checked in the same way.
    check(
        json!({"input": {}, "task_id": "any"}),
        "missing",
        field("name"),
    );
}
