//! Scoring a group of candidates.

use orwd_tests::expect::{assert_error, assert_invalid};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::SESSION_HEADER;
use serde_json::{Value, json};

use crate::support::{open, open_on, ors};

/// Returns a candidate of one assistant message with these texts.
fn candidate(texts: &[&str]) -> Value {
    let blocks: Vec<Value> = texts
        .iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    json!({"messages": [{"role": "assistant", "blocks": blocks}]})
}

/// Returns a candidate of one message.
fn message(role: &str, blocks: Value) -> Value {
    json!({"messages": [{"role": role, "blocks": blocks}]})
}

#[test]
fn an_environment_without_scoring_is_a_404() {
    let session = open("alpha");
    let check = |environment: &str| {
        let request = HttpRequest::post(&format!("/{environment}/score_group"))
            .header(SESSION_HEADER, session.id())
            .json(&json!({"candidates": []}));
        let text = format!("Environment '{environment}' does not implement score_group");
        assert_error(&ors().fetch(&request), 404, &text);
    };
    check("alpha");
    check("ALPHA");
    // The session decides the environment, the path the name in the message.
    check("chat");
}

#[test]
fn candidates_are_scored_in_order() {
    let session = open_on("chat", json!({}));
    let check = |candidates: Value, payload: &str| {
        let scored = session.score(candidates);
        assert_eq!(scored.names(), ["task_id", "end"]);
        assert_eq!(scored.payload(), payload);
    };
    check(
        json!([candidate(&["ab"]), candidate(&["abc", "d"])]),
        r#"{"scores":[{"reward":2.0,"metadata":null},{"reward":4.0,"metadata":null}]}"#,
    );
    check(json!([]), r#"{"scores":[]}"#);
}

#[test]
fn a_score_may_have_metadata() {
    let session = open_on("chat", json!({"score": "rich"}));
    let mut with = candidate(&["ab"]);
    with["metadata"] = json!({"id": 7, "f": 1.0});
    let scored = session.score(json!([with, candidate(&["c"])]));
    assert_eq!(
        scored.payload(),
        r#"{"scores":[{"reward":2.0,"metadata":{"id":7,"f":1.0}},{"reward":1.0,"metadata":null}]}"#
    );
}

#[test]
fn a_length_is_counted_in_characters() {
    let scored = open_on("chat", json!({})).score(json!([candidate(&["é漢😀"])]));
    assert_eq!(scored.json()["scores"][0]["reward"], 3.0);
}

#[test]
fn failed_scoring_is_an_error_event() {
    let failing = open_on("chat", json!({"score": "fail"}));
    let scored = failing.score(json!([candidate(&["a"])]));
    assert_eq!(scored.names(), ["task_id", "error"]);
    assert_eq!(scored.error(), "judge unavailable");
    assert_eq!(failing.call("look", json!({})).text(), "looked");

    let short = open_on("chat", json!({"score": "short"}));
    let scored = short.score(json!([candidate(&["a"]), candidate(&["b"])]));
    assert_eq!(
        scored.error(),
        "score_group returned 1 scores for 2 candidates"
    );
}

#[test]
fn every_kind_of_block_is_accepted_in_its_role() {
    let text = json!({"type": "text", "text": "four"});
    let image = json!({"type": "image", "data": "AAAA", "mimeType": "image/png"});
    let reasoning = json!({"type": "reasoning", "text": "hmm", "signature": null});
    let call = json!({"type": "tool_call", "id": "1", "name": "n", "input": {"a": 1}});
    let result = json!({"type": "tool_result", "tool_call_id": "1", "is_error": false,
                        "blocks": [{"type": "text", "text": "xx"}]});
    let messages = json!([
        {"role": "system", "blocks": [text, image]},
        {"role": "user", "blocks": [text, image, result], "detail": {"k": 1}},
        {"role": "assistant", "blocks": [text, image, reasoning, call]},
    ]);
    let session = open_on("chat", json!({}));
    let scored = session.score(json!([{"messages": messages, "metadata": null}]));
    assert_eq!(scored.json()["scores"][0]["reward"], 12.0);
}

#[test]
fn a_block_without_a_type_is_recognized_by_its_members() {
    let session = open_on("chat", json!({}));
    let scored = session.score(json!([message("user", json!([{"text": "no type"}]))]));
    assert_eq!(scored.json()["scores"][0]["reward"], 7.0);
}

#[test]
fn a_block_in_the_wrong_role_is_refused() {
    let session = open_on("chat", json!({}));
    let check = |role: &str, block: Value| {
        let body = json!({"candidates": [message(role, json!([block]))]});
        let place = json!(["body", "candidates", 0, "messages", 0]);
        let detail = assert_invalid(&session.post("score_group", &body), "value_error", &place);
        assert!(detail.starts_with("Value error, "), "{detail}");
        assert!(detail.contains(block["type"].as_str().unwrap()), "{detail}");
        assert!(detail.contains(role), "{detail}");
    };
    let reasoning = json!({"type": "reasoning", "text": "x"});
    let call = json!({"type": "tool_call", "id": "1", "name": "n", "input": {}});
    let result = json!({"type": "tool_result", "tool_call_id": "1", "blocks": []});
    for role in ["system", "user"] {
        check(role, reasoning.clone());
        check(role, call.clone());
    }
    for role in ["system", "assistant"] {
        check(role, result.clone());
    }
}

#[test]
fn the_body_is_checked_at_every_level() {
    let session = open_on("chat", json!({}));
    let check = |candidates: Value, kind: &str, place: Value| {
        let body = json!({ "candidates": candidates });
        let place: Vec<Value> = [json!("body"), json!("candidates")]
            .into_iter()
            .chain(place.as_array().unwrap().clone())
            .collect();
        assert_invalid(&session.post("score_group", &body), kind, &json!(place));
    };
    assert_invalid(
        &session.post("score_group", &json!({})),
        "missing",
        &json!(["body", "candidates"]),
    );
    let body = json!({"candidates": [], "x": 1});
    assert_invalid(
        &session.post("score_group", &body),
        "extra_forbidden",
        &json!(["body", "x"]),
    );
    check(json!({}), "list_type", json!([]));
    check(json!([3]), "model_attributes_type", json!([0]));
    check(json!([{}]), "missing", json!([0, "messages"]));
    check(
        json!([{"messages": [], "x": 1}]),
        "extra_forbidden",
        json!([0, "x"]),
    );
    check(
        json!([{"messages": [], "metadata": []}]),
        "dict_type",
        json!([0, "metadata"]),
    );
    check(
        json!([message("tool", json!([]))]),
        "literal_error",
        json!([0, "messages", 0, "role"]),
    );
    check(
        json!([{"messages": [{"role": "user", "blocks": [], "x": 1}]}]),
        "extra_forbidden",
        json!([0, "messages", 0, "x"]),
    );
    // The location that a bad block is reported at is unspecified; that it is
    // refused is not.
    for block in [
        json!({"type": "text"}),
        json!({"type": "nosuch", "text": "x"}),
        json!({"type": "text", "text": "x", "more": 1}),
        json!(3),
    ] {
        let body = json!({"candidates": [message("user", json!([block]))]});
        assert_eq!(session.post("score_group", &body).status(), 422, "{block}");
    }
}
