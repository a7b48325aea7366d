//! Text is preserved in requests and responses, character by character.

use serde_json::json;

use crate::support::{open, open_on};

#[test]
fn any_text_is_echoed() {
    let session = open("alpha");
    for text in [
        "",
        "plain",
        "tab\tnl\ncr\rcrlf\r\n.",
        "\0\u{1}\u{1f}\u{7f}\u{80}\u{85}\u{9f}",
        "\u{2028}\u{2029}\u{feff}\u{200b}\u{202e}",
        "é漢\u{301}\u{1f600}\u{10ffff}",
        "\"\\/'",
        "data: x\n\nevent: end\n\n",
        ": ping\r\n\r\n",
        "  lead and trail  ",
        "{\"ok\":false}",
    ] {
        let call = session.call("echo", json!({ "text": text }));
        assert_eq!(call.text(), text);
        assert_eq!(call.names(), ["task_id", "end"], "{text:?}");
    }
}

#[test]
fn only_required_characters_are_escaped_in_their_short_form() {
    let text = "\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}\u{85}/é\u{2028}";
    let payload = open("alpha")
        .call("echo", json!({ "text": text }))
        .payload();
    let expected = "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\u{85}/é\u{2028}\"";
    assert!(payload.contains(expected), "{payload:?}");
}

#[test]
fn text_in_a_task_is_preserved() {
    let id = "é \u{2028} 😀 \\ \" \n";
    let prompt = open_on("alpha", json!({ "id": id })).get("prompt").json();
    assert_eq!(prompt[0]["text"], format!("task {id}"));
}
