//! What many tests expect of an answer.

use serde_json::{Value, json};

use crate::http::Response;

/// The detail for a session that the server does not have.
pub const NO_SESSION: &str = "Active environment not found";

/// The detail for a request without a session id.
pub const NO_ID: &str = "X-Session-ID header is required";

/// The answer is this status with this JSON.
#[track_caller]
pub fn is_json(answer: &Response, status: u16, body: &Value) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{answer:?}"
    );
    assert_eq!(&answer.json(), body);
}

/// The answer is an error of this status with exactly this text.
#[track_caller]
pub fn refuses(answer: &Response, status: u16, detail: &str) {
    is_json(answer, status, &json!({ "detail": detail }));
}

/// The answer is an error of this status; gives its text.
#[track_caller]
pub fn detail(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status(), status, "{answer:?}");
    let body = answer.json();
    match body["detail"].as_str() {
        Some(text) if body.as_object().is_some_and(|all| all.len() == 1) => text.to_owned(),
        _ => panic!("not one detail with a text: {body}"),
    }
}

/// The answer is a 422 that has an entry of this type at this place; gives
/// its message.
#[track_caller]
pub fn invalid(answer: &Response, kind: &str, place: &Value) -> String {
    assert_eq!(answer.status(), 422, "{answer:?}");
    let body = answer.json();
    let entries = body["detail"].as_array().expect("a list of details");
    for entry in entries {
        for member in ["type", "loc", "msg", "input"] {
            assert!(entry.get(member).is_some(), "no {member} in {entry}");
        }
        assert_eq!(entry["loc"][0], "body", "{entry}");
    }
    let found = entries
        .iter()
        .find(|entry| entry["type"] == kind && &entry["loc"] == place)
        .unwrap_or_else(|| panic!("no {kind} at {place} in {body}"));
    found["msg"].as_str().expect("a message").to_owned()
}

/// The names of the tools of a listing, in order.
pub fn tool_names(listing: &Value) -> Vec<String> {
    let tools = listing["tools"].as_array().expect("a list of tools");
    tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// A text block as it stands on the wire.
pub fn text_block(text: &str) -> Value {
    annotated(text, Value::Null)
}

/// A text block with a detail.
pub fn annotated(text: &str, detail: Value) -> Value {
    json!({"text": text, "detail": detail, "type": "text"})
}
