//! The outcomes of a tool call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::SESSION_HEADER;
use serde_json::{Value, json};

use crate::support::{deviates, open, ors};

/// Returns the output of one call of a new `alpha` session.
fn output(tool: &str, input: Value) -> Value {
    open("alpha").call(tool, input).output()
}

#[test]
fn a_success_has_every_member() {
    let call = open("alpha").call("echo", json!({"text": "x"}));
    let expected = r#"{"ok":true,"output":{"blocks":[{"text":"x","detail":null,"type":"text"}],"metadata":null,"reward":null,"finished":false}}"#;
    assert_eq!(call.payload(), expected);
}

#[test]
fn state_is_kept_between_calls() {
    let session = open("alpha");
    let bump = |by: u64| session.call("bump", json!({ "by": by }));
    let texts: Vec<String> = [1, 2, 39].map(|by| bump(by).text()).to_vec();
    assert_eq!(texts, ["1", "3", "42"]);
    let last = session.call("bump", json!({})).output();
    assert_eq!(last["metadata"], json!({"counter": 43}));
}

#[test]
fn missing_members_have_defaults_and_unknown_ones_are_ignored() {
    let check = |tool: &str, input: Value, text: &str| {
        assert_eq!(open("alpha").call(tool, input).text(), text);
    };
    check("echo", json!({"text": "ab"}), "ab");
    check(
        "echo",
        json!({"text": "ab", "upper": true, "unknown": 1}),
        "AB",
    );
    check("bump", json!({}), "1");
    check("noargs", json!({}), "noargs ok");
    check("noargs", json!({"ignored": 1}), "noargs ok");
    check("strict", json!({"level": "low", "count": 3}), "low:3");
}

#[test]
fn an_image_is_sent_as_base64() {
    let blocks = output("image", json!({}))["blocks"].take();
    let members: Vec<&String> = blocks[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["data", "mimeType", "detail", "type"]);
    assert_eq!(blocks[0]["mimeType"], "image/png");
    assert_eq!(blocks[0]["detail"], Value::Null);
    assert_eq!(blocks[0]["type"], "image");
    let bytes = STANDARD
        .decode(blocks[0]["data"].as_str().unwrap())
        .unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let caption = json!({"text": "caption", "detail": {"lang": "en", "n": 1}, "type": "text"});
    assert_eq!(blocks[1], caption);
}

#[test]
fn a_result_may_have_no_blocks() {
    assert_eq!(output("empty", json!({}))["blocks"], json!([]));
}

#[test]
fn a_reward_is_a_float_and_metadata_is_unchanged() {
    let call = open("alpha").call("reward", json!({"reward": 1}));
    let payload = call.payload();
    for part in [
        r#""reward":1.0"#,
        r#""metadata":{"i":1,"f":1.0,"nested":{"z":null,"a":[1,"x"]}}"#,
        r#""finished":false"#,
    ] {
        assert!(payload.contains(part), "no {part} in {payload}");
    }
}

#[test]
fn a_reward_is_returned_bit_by_bit() {
    for reward in [0.25, -0.5, 1e-7, 1e16, 0.1 + 0.2, f64::MAX, 5e-324] {
        let returned = output("reward", json!({ "reward": reward }))["reward"].take();
        assert!(returned.is_f64(), "{returned}");
        assert_eq!(
            returned.as_f64().map(f64::to_bits),
            Some(f64::to_bits(reward))
        );
    }
}

#[test]
fn a_non_finite_reward_is_an_error() {
    if !deviates("a reward that is not finite is an error, and not null") {
        return;
    }
    let session = open("alpha");
    for reward in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let body = format!(r#"{{"name":"reward","input":{{"reward":{reward}}}}}"#);
        let request = HttpRequest::post("/alpha/call")
            .header(SESSION_HEADER, session.id())
            .json_text(body);
        let answer = ors().fetch(&request);
        // It may be refused as JSON, as input, or as output. A result with a
        // reward of null or zero would be wrong.
        assert!(!answer.text().contains(r#""ok":true"#), "{answer:?}");
        assert!(matches!(answer.status(), 200 | 422), "{answer:?}");
    }
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_failed_tool_reports_its_message_and_the_session_continues() {
    let session = open("alpha");
    let check = |message: &str, expected: &str| {
        let call = session.call("fail", json!({ "message": message }));
        assert_eq!(call.names(), ["task_id", "error"]);
        assert_eq!(call.error(), expected);
    };
    check("boom: é", "boom: é");
    check("", "");
    check("two\nlines", "two\nlines");
    check("a\r\nb\n\nc\rd", "a\nb\n\nc\nd");
    check("{\"ok\":true}", "{\"ok\":true}");
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn only_declared_tools_can_be_called() {
    let session = open("alpha");
    let check = |name: &str, shown: &str| {
        let call = session.call(name, json!({}));
        let expected = (
            "not_found".to_owned(),
            format!("{shown} is not a valid tool"),
        );
        assert_eq!(call.refusal(), expected);
    };
    check("nosuch", "'nosuch'");
    check("", "''");
    check("ECHO", "'ECHO'");
    check(" echo", "' echo'");
    check("setup", "'setup'");
    check("get_prompt", "'get_prompt'");
    check("__init__", "'__init__'");
    check("it's", "\"it's\"");
    check("line\nbreak", "'line\\nbreak'");
}

#[test]
fn invalid_input_is_refused_and_the_field_named() {
    let session = open("alpha");
    let check = |tool: &str, input: Value, field: &str| {
        let (reason, error) = session.call(tool, input.clone()).refusal();
        assert_eq!(reason, "input_validation", "{tool} {input}");
        assert!(
            error.starts_with("Tool input validation error: "),
            "{error}"
        );
        assert!(error.contains(field), "no {field} in {error}");
    };
    check("echo", json!({}), "text");
    check("echo", json!({"text": 5}), "text");
    check("echo", json!({"text": null}), "text");
    check("echo", json!({"text": ["x"]}), "text");
    check("echo", json!({"text": "x", "upper": "purple"}), "upper");
    check("bump", json!({"by": 1.5}), "by");
    check("bump", json!({"by": {}}), "by");
    check("strict", json!({"level": "mid", "count": 3}), "level");
    check("strict", json!({"level": "low", "count": 0}), "count");
    check("strict", json!({"level": "low", "count": 11}), "count");
    check(
        "strict",
        json!({"level": "low", "count": 3, "extra": 1}),
        "extra",
    );
    // None of these calls ran or ended the session.
    assert_eq!(session.call("bump", json!({})).text(), "1");
}

#[test]
fn scalars_are_coerced_from_common_spellings() {
    let check = |tool: &str, input: Value, text: &str| {
        assert_eq!(open("alpha").call(tool, input).text(), text);
    };
    check("bump", json!({"by": "3"}), "3");
    check("bump", json!({"by": 3.0}), "3");
    check("bump", json!({"by": true}), "1");
    check("echo", json!({"text": "a", "upper": "yes"}), "A");
    check("echo", json!({"text": "a", "upper": 0}), "a");
    let reward = output("reward", json!({"reward": "0.5"}))["reward"].take();
    assert_eq!(reward, 0.5);
}

#[test]
fn an_unlisted_tool_can_be_called() {
    let call = open("alpha").call("hidden", json!({"text": "q"}));
    assert_eq!(call.text(), "hidden:q");
}

#[test]
fn a_call_through_the_redirect_works() {
    let session = open("alpha");
    let request = HttpRequest::post("/call")
        .header(SESSION_HEADER, session.id())
        .json(&json!({"name": "echo", "input": {"text": "via 308"}}));
    let answer = ors().client().fetch_following_redirect(&request);
    assert!(answer.text().contains("via 308"), "{answer:?}");
}
