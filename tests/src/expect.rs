//! Assertions that many tests make about a response.

use serde_json::{Value, json};

use crate::http::HttpResponse;

/// The error text for a session that the server does not have.
pub const NO_SESSION: &str = "Active environment not found";

/// The error text for a request without a session id.
pub const NO_ID: &str = "X-Session-ID header is required";

/// Asserts that the response has this status and this JSON body.
#[track_caller]
pub fn assert_json(response: &HttpResponse, status: u16, body: &Value) {
    assert_eq!(response.status(), status, "{response:?}");
    assert_eq!(
        response.header("content-type"),
        Some("application/json"),
        "{response:?}"
    );
    assert_eq!(&response.json(), body);
}

/// Asserts that the response is an error with this status and exactly this text.
#[track_caller]
pub fn assert_error(response: &HttpResponse, status: u16, detail: &str) {
    assert_json(response, status, &json!({ "detail": detail }));
}

/// Asserts that the response is an error with this status, and returns its text.
#[track_caller]
pub fn error_detail(response: &HttpResponse, status: u16) -> String {
    assert_eq!(response.status(), status, "{response:?}");
    let body = response.json();
    match body["detail"].as_str() {
        Some(text) if body.as_object().is_some_and(|all| all.len() == 1) => text.to_owned(),
        _ => panic!("not one detail with a text: {body}"),
    }
}

/// Asserts that the response is a 422 with an entry of this type and location,
/// and returns the entry's message.
#[track_caller]
pub fn assert_invalid(response: &HttpResponse, kind: &str, location: &Value) -> String {
    assert_eq!(response.status(), 422, "{response:?}");
    let body = response.json();
    let entries = body["detail"].as_array().expect("a list of details");
    for entry in entries {
        for member in ["type", "loc", "msg", "input"] {
            assert!(entry.get(member).is_some(), "no {member} in {entry}");
        }
        assert_eq!(entry["loc"][0], "body", "{entry}");
    }
    let found = entries
        .iter()
        .find(|entry| entry["type"] == kind && &entry["loc"] == location)
        .unwrap_or_else(|| panic!("no {kind} at {location} in {body}"));
    found["msg"].as_str().expect("a message").to_owned()
}

/// Returns the names of the tools of a listing, in order.
pub fn tool_names(listing: &Value) -> Vec<String> {
    let tools = listing["tools"].as_array().expect("a list of tools");
    tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Returns a text block in its wire form.
pub fn text_block(text: &str) -> Value {
    annotated(text, Value::Null)
}

/// Returns a text block with a detail.
pub fn annotated(text: &str, detail: Value) -> Value {
    json!({"text": text, "detail": detail, "type": "text"})
}
