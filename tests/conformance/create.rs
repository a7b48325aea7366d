//! How a session begins.

use orwd_tests::expect::{detail, invalid, is_json, refuses, tool_names};
use orwd_tests::http::{Request, Response};
use orwd_tests::later::all_at_once;
use orwd_tests::ors::{SESSION_HEADER, Task, fresh_id, secrets_header};
use serde_json::{Value, json};

use crate::{deviates, open, open_on, ors};

/// The task spec that the session has, as it came.
fn spec_of(environment: &str, id: &str) -> Value {
    let session = ors().session(environment, id);
    serde_json::from_str(&session.call("spec", json!({})).text()).unwrap()
}

#[test]
fn an_id_is_handed_out_in_a_stream() {
    let raw = ors().transcript(&Request::post("/create_session")).raw;
    let text = String::from_utf8(raw).unwrap();
    let id = text
        .strip_prefix("event: task_id\r\ndata: ")
        .and_then(|rest| rest.strip_suffix("\r\n\r\nevent: end\r\ndata: \r\n\r\n"))
        .unwrap_or_else(|| panic!("{text:?}"));
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
    assert!(id.chars().all(|c| "0123456789abcdef-".contains(c)), "{id}");
}

#[test]
fn ids_are_fresh_whatever_the_body_says() {
    let bodies = ["", "{}", r#"{"env":{"A":"b"},"more":1}"#, "{broken"];
    let mut ids: Vec<String> = bodies
        .iter()
        .map(|body| Request::post("/create_session").json_text(*body))
        .map(|request| ors().transcript(&request).task_id().to_owned())
        .collect();
    // To have an id is not to have a session.
    assert_eq!(ors().touch(&ids[0], "/ping").status(), 404);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), bodies.len());
}

#[test]
fn a_whole_life() {
    let id = ors()
        .transcript(&Request::post("/create_session").json(&json!({})))
        .task_id()
        .to_owned();
    let body = json!({"env_name": "alpha", "split": "test", "index": 1});
    is_json(&ors().create(&id, &body), 200, &json!({"sid": id}));
    is_json(&ors().touch(&id, "/ping"), 200, &json!({"status": "ok"}));
    assert_eq!(spec_of("alpha", &id)["id"], "test-1");
    // The handle that read the task is gone, and deleted the session.
    is_json(&ors().touch(&id, "/delete"), 200, &json!({"sid": id}));
    let answer = ors().touch(&id, "/delete_session");
    is_json(&answer, 200, &json!({"sid": id}));
}

#[test]
fn a_session_is_for_a_task_of_a_split_or_of_the_clients_own() {
    let check = |body: Value, environment: &str, spec: Value| {
        let id = fresh_id();
        let answer = ors().create(&id, &body);
        assert_eq!(answer.status(), 200, "{body}: {answer:?}");
        assert_eq!(spec_of(environment, &id), spec);
    };
    let third = json!({"id": "train-2", "n": 2});
    check(
        json!({"split": "train", "index": 2}),
        "alpha",
        third.clone(),
    );
    check(
        json!({"env_name": null, "task_spec": null, "split": "train", "index": 2}),
        "alpha",
        third.clone(),
    );
    check(
        json!({"env_name": "ALPHA", "split": "train", "index": -3}),
        "alpha",
        third,
    );
    check(json!({"task_spec": {}}), "alpha", json!({}));
    let own = json!({"id": "mine", "deep": {"list": [1, 1.5, null, true, "é"]}});
    check(json!({"task_spec": own}), "alpha", own);
    check(
        json!({"env_name": "indexed", "split": "train", "index": 3}),
        "indexed",
        json!({"id": "ix-3", "square": 9}),
    );
}

#[test]
fn numbers_of_a_task_keep_their_size_and_kind() {
    let body = r#"{"task_spec":{"big":123456789012345678901234567890,"one":1,"float":1.0}}"#;
    let id = fresh_id();
    let request = Request::post("/create")
        .header(SESSION_HEADER, &id)
        .json_text(body);
    assert_eq!(ors().ask(&request).status(), 200);
    let text = ors().session("alpha", &id).call("spec", json!({})).text();
    let text = text.replace(' ', "");
    assert!(
        text.contains("\"big\":123456789012345678901234567890"),
        "{text}"
    );
    assert!(
        text.contains("\"one\":1}") || text.contains("\"one\":1,"),
        "{text}"
    );
    assert!(text.contains("\"float\":1.0"), "{text}");
}

#[test]
fn there_is_exactly_one_source_of_the_task() {
    let check = |body: Value, message: &str| {
        let answer = ors().create(&fresh_id(), &body);
        let told = invalid(&answer, "value_error", &json!(["body"]));
        assert_eq!(told, format!("Value error, {message}"), "{body}");
    };
    let one = "Provide either task_spec or both split and index, not both/neither";
    check(json!({}), one);
    check(json!({"env_name": "alpha"}), one);
    check(json!({"split": "train"}), one);
    check(json!({"index": 0}), one);
    check(json!({"task_spec": {}, "split": "train", "index": 0}), one);
    let both = "split and index must both be provided together";
    check(json!({"task_spec": {}, "split": "train"}), both);
    check(json!({"task_spec": {}, "index": 0}), both);
}

#[test]
fn the_body_is_checked() {
    let check = |body: Value, kind: &str, place: Value| {
        invalid(&ors().create(&fresh_id(), &body), kind, &place);
    };
    let field = |name: &str| json!(["body", name]);
    check(
        json!({"env_name": 3, "task_spec": {}}),
        "string_type",
        field("env_name"),
    );
    check(json!({"task_spec": []}), "dict_type", field("task_spec"));
    check(json!({"task_spec": "x"}), "dict_type", field("task_spec"));
    check(
        json!({"split": 3, "index": 0}),
        "string_type",
        field("split"),
    );
    check(
        json!({"split": "train", "index": "x"}),
        "int_parsing",
        field("index"),
    );
    check(
        json!({"task_spec": {}, "toolset_name": 3}),
        "string_type",
        field("toolset_name"),
    );
    check(
        json!({"task_spec": {}, "secrets": {"A": "b"}}),
        "extra_forbidden",
        field("secrets"),
    );
}

#[test]
fn what_is_not_there_is_refused_and_the_id_stays_free() {
    let check = |body: Value, status: u16, text: &str| {
        let id = fresh_id();
        refuses(&ors().create(&id, &body), status, text);
        assert_eq!(ors().touch(&id, "/ping").status(), 404);
        let answer = ors().create(&id, &json!({"split": "train", "index": 0}));
        assert_eq!(answer.status(), 200, "{answer:?}");
        drop(ors().session("alpha", &id));
    };
    let at = |split: &str, index: i64| json!({"split": split, "index": index});
    check(at("nope", 0), 400, "Invalid split");
    check(at("train", 5), 400, "Invalid index");
    check(at("train", -6), 400, "Invalid index");
    check(at("holdout", 0), 400, "Invalid index");
    let environment = |name: &str| json!({"env_name": name, "split": "nope", "index": 99});
    check(environment("nope"), 404, "unknown environment 'nope'");
    check(environment(""), 404, "unknown environment ''");
    check(environment("it's"), 404, "unknown environment \"it's\"");
    let negative = json!({"env_name": "indexed", "split": "train", "index": -1});
    check(negative, 400, "Invalid index");
}

#[test]
fn a_task_that_an_environment_cannot_open_is_an_error() {
    let id = fresh_id();
    let body = json!({"env_name": "broken", "split": "train", "index": 1});
    assert!(detail(&ors().create(&id, &body), 500).ends_with("init exploded"));
    assert_eq!(ors().touch(&id, "/ping").status(), 404);
    let answer = ors().create(&id, &json!({"env_name": "broken", "task_spec": {}}));
    assert_eq!(answer.status(), 200, "{answer:?}");
    drop(ors().session("broken", &id));
}

#[test]
fn an_id_in_use_is_refused_before_anything_else_is_looked_at() {
    let session = open("alpha");
    for body in [
        json!({"split": "train", "index": 0}),
        json!({"env_name": "nope", "task_spec": {}}),
        json!({"split": "nope", "index": 0}),
    ] {
        let answer = ors().create(session.id(), &body);
        refuses(&answer, 400, "Session already exists");
    }
    let malformed = ors().create(session.id(), &json!({}));
    assert_eq!(malformed.status(), 422);
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn of_many_creates_of_one_id_exactly_one_wins() {
    if !deviates("an id is reserved before the environment is opened") {
        return;
    }
    for _ in 0..5 {
        let id = fresh_id();
        let answers: Vec<Response> = all_at_once((0..8).map(|index| {
            let id = id.clone();
            move || ors().create(&id, &json!({"split": "train", "index": index % 5}))
        }));
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status() == 200);
        assert_eq!(won.len(), 1, "{answers:?}");
        for answer in lost {
            refuses(answer, 400, "Session already exists");
        }
        assert_eq!(ors().session("alpha", &id).ping().status(), 200);
    }
}

#[test]
fn secrets_reach_their_session_and_no_other() {
    let secrets = json!({
        "K": {"value": "v1", "allowed_domains": ["example.test"]},
        "L": {"value": "zwei ü"},
    });
    let header = secrets_header(&secrets);
    let task = Task::At("train", 0);
    let session = ors().open_with("alpha", task, &[("X-Secrets", &header)]);
    let check = |session: &orwd_tests::ors::Session, name: &str, value: &str| {
        assert_eq!(
            session.call("secret", json!({ "name": name })).text(),
            value
        );
    };
    check(&session, "K", "v1");
    check(&session, "L", "zwei ü");
    check(&session, "M", "<absent>");
    check(&open("alpha"), "K", "<absent>");

    let empty = ors().open_with("alpha", Task::At("train", 0), &[("X-Secrets", "")]);
    check(&empty, "K", "<absent>");
}

#[test]
fn secrets_that_cannot_be_read_are_an_error_and_never_shown() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let check = |header: &str| {
        let id = fresh_id();
        let request = Request::post("/create")
            .header(SESSION_HEADER, &id)
            .header("X-Secrets", header)
            .json(&json!({"split": "train", "index": 0}));
        let text = detail(&ors().ask(&request), 500);
        assert!(!text.contains("geheim"), "{text}");
        assert_eq!(ors().touch(&id, "/ping").status(), 404);
    };
    check("abc");
    check(&STANDARD.encode("geheim"));
    check(&STANDARD.encode("[]"));
    check(&STANDARD.encode(r#"{"A":"geheim"}"#));
    check(&STANDARD.encode(r#"{"A":{}}"#));
}

const TOOLSETS: [&str; 8] = [
    "backsearch",
    "claude-code",
    "cli",
    "codex",
    "gemini-cli",
    "hermes",
    "openclaw",
    "web",
];

/// `/create` with a toolset; the id must be free afterwards.
fn refused_toolset(name: &str) -> String {
    let id = fresh_id();
    let body = json!({"task_spec": {}, "toolset_name": name});
    let text = detail(&ors().create(&id, &body), 400);
    let answer = ors().create(&id, &json!({"task_spec": {}, "toolset_name": null}));
    assert_eq!(answer.status(), 200, "{answer:?}");
    drop(ors().session("alpha", &id));
    text
}

#[test]
fn an_unknown_toolset_is_told_the_known_ones() {
    let known = TOOLSETS.map(|name| format!("'{name}'")).join(", ");
    for (name, shown) in [("no-such", "'no-such'"), ("", "''"), ("it's", "\"it's\"")] {
        let expected = format!("unknown toolset {shown}; valid options are [{known}]");
        assert_eq!(refused_toolset(name), expected);
    }
}

#[test]
fn a_toolset_that_needs_a_sandbox_says_so() {
    for name in TOOLSETS {
        if name == "web" || name == "backsearch" {
            continue;
        }
        let text = refused_toolset(name);
        // Clients look for this word, and then do without the toolset.
        assert!(text.contains("sandbox"), "{name}: {text}");
    }
}

#[test]
fn the_toolsets_of_the_web_are_not_there_either() {
    if !deviates("no toolset can be had without a sandbox or a network") {
        return;
    }
    for name in ["web", "backsearch"] {
        let text = refused_toolset(name);
        assert!(text.contains("sandbox"), "{name}: {text}");
    }
}

#[test]
fn many_sessions_live_beside_each_other() {
    let sessions =
        all_at_once((0..40).map(|index| move || ors().open("alpha", Task::At("train", index % 5))));
    let texts = all_at_once(
        sessions
            .into_iter()
            .enumerate()
            .map(|(by, session)| move || session.call("bump", json!({ "by": by })).text()),
    );
    let expected: Vec<String> = (0..40).map(|by| by.to_string()).collect();
    assert_eq!(texts, expected);
}

#[test]
fn an_environment_is_found_in_any_spelling() {
    let listing = open_on("TermArg", json!({"id": "q0", "answer": "4"}))
        .get("task_tools")
        .json();
    assert_eq!(tool_names(&listing), ["look"]);
    assert_eq!(listing["terminal_tool"]["name"], "submit");
}
