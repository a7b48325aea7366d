//! Prompts and messages, and the conversion between them.

use orwd_tests::expect::{annotated, error_detail, text_block};
use serde_json::{Value, json};

use crate::support::{open, open_on};

#[test]
fn a_prompt_is_a_list_of_blocks_with_every_member() {
    let prompt = open("alpha").get("prompt");
    let expected = r#"[{"text":"task train-0","detail":null,"type":"text"},{"text":"second","detail":{"k":1},"type":"text"}]"#;
    assert_eq!(prompt.text(), expected);
    let nameless = open_on("alpha", json!({})).get("prompt").json();
    assert_eq!(nameless[0]["text"], "task ?");
}

#[test]
fn a_prompt_becomes_one_user_message() {
    let session = open("alpha");
    let blocks = session.get("prompt").json();
    let expected = json!([{"role": "user", "blocks": blocks, "detail": null}]);
    assert_eq!(session.get("messages").json(), expected);
}

#[test]
fn a_single_user_message_becomes_a_prompt_of_its_blocks() {
    let session = open_on("chat", json!({"mode": "single"}));
    let messages = session.get("messages").json();
    let [message] = messages.as_array().unwrap().as_slice() else {
        panic!("{messages}");
    };
    assert_eq!(message["role"], "user");
    let blocks = message["blocks"].as_array().unwrap();
    assert_eq!(blocks[0], text_block("only"));
    let members: Vec<&String> = blocks[1].as_object().unwrap().keys().collect();
    assert_eq!(members, ["data", "mimeType", "detail", "type"]);
    assert_eq!(blocks[1]["type"], "image");
    assert_eq!(session.get("prompt").json(), message["blocks"]);
}

#[test]
fn messages_may_have_every_kind_of_block() {
    let messages = open_on("chat", json!({"mode": "rich"})).get("messages");
    let expected = json!([
        {"role": "system", "blocks": [text_block("be brief")], "detail": null},
        {"role": "user", "blocks": [text_block("add 2 and 2")], "detail": {"turn": 1}},
        {"role": "assistant", "detail": null, "blocks": [
            {"text": "use the tool", "signature": "sig", "detail": null, "type": "reasoning"},
            {"id": "c1", "name": "calc", "input": {"expr": "2+2"}, "detail": null,
             "type": "tool_call"},
        ]},
        {"role": "user", "detail": null, "blocks": [
            {"tool_call_id": "c1", "blocks": [text_block("4")], "is_error": false,
             "detail": null, "type": "tool_result"},
            {"tool_call_id": "c2", "blocks": [text_block("no such call")], "is_error": true,
             "detail": null, "type": "tool_result"},
            text_block("so?"),
        ]},
    ]);
    assert_eq!(messages.json(), expected);
}

#[test]
fn a_conversation_becomes_a_prompt_with_headings() {
    let prompt = open_on("chat", json!({"mode": "rich"})).get("prompt");
    let heading = |role: &str| annotated(&format!("[{role}]"), json!({ "role": role }));
    let result =
        |text: &str, id: &str| annotated(text, json!({"type": "tool_result", "tool_call_id": id}));
    let expected: Value = json!([
        heading("system"),
        text_block("be brief"),
        heading("user"),
        text_block("add 2 and 2"),
        heading("assistant"),
        annotated("<think>use the tool</think>", json!({"type": "reasoning"})),
        annotated(
            r#"[tool_call calc] {"expr": "2+2"}"#,
            json!({"type": "tool_call", "id": "c1"})
        ),
        heading("user"),
        result("[tool_result]", "c1"),
        text_block("4"),
        result("[tool_result (error)]", "c2"),
        text_block("no such call"),
        text_block("so?"),
    ]);
    assert_eq!(prompt.json(), expected);
}

#[test]
fn a_failed_prompt_fails_the_request_and_not_the_session() {
    let session = open_on("broken", json!({"where": "prompt"}));
    for route in ["prompt", "messages", "prompt"] {
        let text = error_detail(&session.get(route), 500);
        assert!(text.ends_with("prompt exploded"), "{text}");
    }
    assert_eq!(session.call("probe", json!({})).text(), "fine");
}
