//! The framing of an event stream: headers, events, chunks, comments.

use std::time::{Duration, Instant};

use orwd_tests::ors::SseItem;
use serde_json::json;

use crate::support::{deviates, open};

#[test]
fn a_stream_has_these_headers() {
    let head = open("alpha").call("noargs", json!({})).head;
    let check = |name: &str, value: &str| assert_eq!(head.header(name), Some(value), "{name}");
    check("content-type", "text/event-stream; charset=utf-8");
    check("cache-control", "no-cache");
    check("x-accel-buffering", "no");
    check("transfer-encoding", "chunked");
}

#[test]
fn a_short_result_is_an_id_and_an_end_event() {
    let call = open("alpha").call("noargs", json!({}));
    assert_eq!(call.names(), ["task_id", "end"]);
    let id = call.task_id();
    assert_eq!(id.len(), 32);
    assert!(id.chars().all(|c| "0123456789abcdef".contains(c)), "{id}");
}

#[test]
fn a_result_has_exactly_these_bytes() {
    let call = open("alpha").call("echo", json!({"text": "é\n\u{2028}"}));
    let expected = format!(
        "event: task_id\r\ndata: {}\r\n\r\nevent: end\r\ndata: {}\r\n\r\n",
        call.task_id(),
        concat!(
            r#"{"ok":true,"output":{"blocks":[{"text":"é\n"#,
            "\u{2028}",
            r#"","detail":null,"type":"text"}],"metadata":null,"reward":null,"finished":false}}"#,
        )
    );
    assert_eq!(String::from_utf8(call.raw).unwrap(), expected);
}

#[test]
fn an_error_has_exactly_these_bytes() {
    let call = open("alpha").call("fail", json!({"message": "one\ntwo"}));
    let expected = format!(
        "event: task_id\r\ndata: {}\r\n\r\nevent: error\r\ndata: one\r\ndata: two\r\n\r\n",
        call.task_id()
    );
    assert_eq!(String::from_utf8(call.raw).unwrap(), expected);
}

#[test]
fn a_long_result_is_split_every_4096_characters() {
    let session = open("alpha");
    let big = |count: usize| session.call("big", json!({"unit": "x", "count": count}));
    let frame = big(0).payload().chars().count();
    for total in [4095, 4096, 4097, 8191, 8192, 8193, 20_000] {
        let call = big(total - frame);
        let sizes: Vec<usize> = call.events[1..]
            .iter()
            .map(|event| event.data.chars().count())
            .collect();
        let mut expected = vec![4096; total / 4096];
        if total % 4096 > 0 {
            expected.push(total % 4096);
        }
        assert_eq!(sizes, expected, "{total}");
        let mut names = vec!["chunk"; sizes.len() - 1];
        names.insert(0, "task_id");
        names.push("end");
        assert_eq!(call.names(), names);
    }
}

#[test]
fn a_chunk_is_measured_in_characters_and_has_one_line() {
    let unit = "hé\n😀 ";
    let call = open("alpha").call("big", json!({"unit": unit, "count": 4000}));
    assert_eq!(call.text(), unit.repeat(4000));
    for event in &call.events {
        assert_eq!(event.lines, 1);
        assert!(event.data.chars().count() <= 4096);
    }
    assert!(call.events.len() < 12, "{} events", call.events.len());
}

#[test]
fn no_chunk_begins_with_white_space() {
    if !deviates("a chunk never begins with what clients would strip") {
        return;
    }
    let session = open("alpha");
    for unit in [
        " ",
        "word  ",
        "\u{a0}x",
        "\u{2003}y ",
        "a\u{2028}",
        "\u{85}",
        "\u{1680}\u{3000}",
    ] {
        let call = session.call("big", json!({"unit": unit, "count": 9001}));
        for event in &call.events {
            let first = event.data.chars().next();
            assert!(
                !first.is_some_and(char::is_whitespace),
                "{unit:?}: {first:?}"
            );
        }
        assert_eq!(call.text(), unit.repeat(9001), "{unit:?}");
    }
}

#[test]
fn a_result_of_megabytes_arrives() {
    let unit = "0123456789abcdef";
    let call = open("alpha").call("big", json!({"unit": unit, "count": 262_144}));
    assert!(call.text() == unit.repeat(262_144), "4 MiB differ");
}

#[test]
fn an_error_is_never_split() {
    let message = "e".repeat(10_000);
    let call = open("alpha").call("fail", json!({ "message": message }));
    assert_eq!(call.names(), ["task_id", "error"]);
    assert_eq!(call.error(), message);
}

#[test]
fn the_id_is_sent_before_the_tool_ends() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 3000}));
    stream.task_id();
    // Without the early id, the read above would have waited for the tool.
    let start = Instant::now();
    let end = stream.next_event().expect("an end");
    assert_eq!(end.name, "end");
    assert!(
        start.elapsed() > Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn comments_keep_a_long_stream_alive() {
    let session = open("alpha");
    let mut stream = session.start("sleep", json!({"ms": 12_500}));
    stream.task_id();
    let Some(SseItem::Comment(ping)) = stream.next_item() else {
        panic!("a comment comes before the end");
    };
    // ` ping - 2026-01-31 12:34:56.123456+00:00`
    let shape: String = ping
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, " ping - 0000-00-00 00:00:00.000000+00:00");
    let rest = stream.finish();
    assert_eq!(rest.comments.len(), 1);
    assert_eq!(rest.names(), ["task_id", "end"]);
}
