//! Creating a session.

use orwd_tests::background::run_concurrently;
use orwd_tests::expect::{assert_error, assert_invalid, assert_json, error_detail, tool_names};
use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::{SESSION_HEADER, TaskSelector, fresh_id, secrets_header};
use serde_json::{Value, json};

use crate::support::{deviates, open, open_on, ors};

/// Returns the session's task spec.
fn spec_of(environment: &str, id: &str) -> Value {
    let session = ors().session(environment, id);
    serde_json::from_str(&session.call("spec", json!({})).text()).unwrap()
}

#[test]
fn a_session_id_is_sent_as_a_stream() {
    let raw = ors().transcript(&HttpRequest::post("/create_session")).raw;
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
fn session_ids_are_unique_for_any_body() {
    let bodies = ["", "{}", r#"{"env":{"A":"b"},"more":1}"#, "{broken"];
    let mut ids: Vec<String> = bodies
        .iter()
        .map(|body| HttpRequest::post("/create_session").json_text(*body))
        .map(|request| ors().transcript(&request).task_id().to_owned())
        .collect();
    // An id alone is not a session.
    assert_eq!(ors().post_empty(&ids[0], "/ping").status(), 404);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), bodies.len());
}

#[test]
fn a_session_is_created_used_and_deleted() {
    let id = ors()
        .transcript(&HttpRequest::post("/create_session").json(&json!({})))
        .task_id()
        .to_owned();
    let body = json!({"env_name": "alpha", "split": "test", "index": 1});
    assert_json(&ors().create(&id, &body), 200, &json!({"sid": id}));
    assert_json(
        &ors().post_empty(&id, "/ping"),
        200,
        &json!({"status": "ok"}),
    );
    assert_eq!(spec_of("alpha", &id)["id"], "test-1");
    // The handle that read the task has deleted the session when dropped.
    assert_json(&ors().post_empty(&id, "/delete"), 200, &json!({"sid": id}));
    let answer = ors().post_empty(&id, "/delete_session");
    assert_json(&answer, 200, &json!({"sid": id}));
}

#[test]
fn a_session_takes_a_task_of_a_split_or_a_task_spec() {
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
fn numbers_of_a_task_spec_keep_size_and_type() {
    let body = r#"{"task_spec":{"big":123456789012345678901234567890,"one":1,"float":1.0}}"#;
    let id = fresh_id();
    let request = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json_text(body);
    assert_eq!(ors().fetch(&request).status(), 200);
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
fn exactly_one_source_of_the_task_is_required() {
    let check = |body: Value, message: &str| {
        let answer = ors().create(&fresh_id(), &body);
        let detail = assert_invalid(&answer, "value_error", &json!(["body"]));
        assert_eq!(detail, format!("Value error, {message}"), "{body}");
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
        assert_invalid(&ors().create(&fresh_id(), &body), kind, &place);
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
fn an_unknown_task_is_refused_and_the_id_stays_unused() {
    let check = |body: Value, status: u16, text: &str| {
        let id = fresh_id();
        assert_error(&ors().create(&id, &body), status, text);
        assert_eq!(ors().post_empty(&id, "/ping").status(), 404);
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
fn a_task_that_fails_to_open_is_an_error() {
    let id = fresh_id();
    let body = json!({"env_name": "broken", "split": "train", "index": 1});
    assert!(error_detail(&ors().create(&id, &body), 500).ends_with("init exploded"));
    assert_eq!(ors().post_empty(&id, "/ping").status(), 404);
    let answer = ors().create(&id, &json!({"env_name": "broken", "task_spec": {}}));
    assert_eq!(answer.status(), 200, "{answer:?}");
    drop(ors().session("broken", &id));
}

#[test]
fn a_task_spec_that_does_not_fit_is_the_client_s_mistake() {
    if !deviates("a task spec that the environment cannot read is a 400") {
        return;
    }
    let id = fresh_id();
    for (spec, place) in [
        (
            json!({"setup_ms": "soon"}),
            "setup_ms: invalid type: string",
        ),
        (json!({"setup_ms": -1}), "setup_ms: invalid value"),
    ] {
        let body = json!({"env_name": "slow", "task_spec": spec});
        let detail = error_detail(&ors().create(&id, &body), 400);
        assert!(
            detail.starts_with("the task spec does not fit: "),
            "{detail}"
        );
        assert!(detail.contains(place), "{detail}");
        assert_eq!(ors().post_empty(&id, "/ping").status(), 404);
    }
}

#[test]
fn an_id_in_use_is_refused_first() {
    let session = open("alpha");
    for body in [
        json!({"split": "train", "index": 0}),
        json!({"env_name": "nope", "task_spec": {}}),
        json!({"split": "nope", "index": 0}),
    ] {
        let answer = ors().create(session.id(), &body);
        assert_error(&answer, 400, "Session already exists");
    }
    let malformed = ors().create(session.id(), &json!({}));
    assert_eq!(malformed.status(), 422);
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn exactly_one_of_concurrent_creates_of_an_id_succeeds() {
    if !deviates("an id is reserved before the environment is opened") {
        return;
    }
    for _ in 0..8 {
        let id = fresh_id();
        // No two bodies are equal: a repetition of the winner's request may
        // get the winner's response.
        let answers: Vec<HttpResponse> = run_concurrently((0..5).map(|index| {
            let id = id.clone();
            move || ors().create(&id, &json!({"split": "train", "index": index}))
        }));
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status() == 200);
        assert_eq!(won.len(), 1, "{answers:?}");
        for answer in lost {
            assert_error(answer, 400, "Session already exists");
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
    let task = TaskSelector::At("train", 0);
    let session = ors().open_with("alpha", task, &[("X-Secrets", &header)]);
    let check = |session: &orwd_tests::ors::SessionClient, name: &str, value: &str| {
        assert_eq!(
            session.call("secret", json!({ "name": name })).text(),
            value
        );
    };
    check(&session, "K", "v1");
    check(&session, "L", "zwei ü");
    check(&session, "M", "<absent>");
    check(&open("alpha"), "K", "<absent>");

    let empty = ors().open_with("alpha", TaskSelector::At("train", 0), &[("X-Secrets", "")]);
    check(&empty, "K", "<absent>");
}

#[test]
fn unreadable_secrets_are_an_error_and_never_shown() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let check = |header: &str| {
        let id = fresh_id();
        let request = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .header("X-Secrets", header)
            .json(&json!({"split": "train", "index": 0}));
        let text = error_detail(&ors().fetch(&request), 500);
        assert!(!text.contains("geheim"), "{text}");
        assert_eq!(ors().post_empty(&id, "/ping").status(), 404);
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

/// Sends `/create` with a toolset, which must fail and leave the id unused.
fn refused_toolset(name: &str) -> String {
    let id = fresh_id();
    let body = json!({"task_spec": {}, "toolset_name": name});
    let text = error_detail(&ors().create(&id, &body), 400);
    let answer = ors().create(&id, &json!({"task_spec": {}, "toolset_name": null}));
    assert_eq!(answer.status(), 200, "{answer:?}");
    drop(ors().session("alpha", &id));
    text
}

#[test]
fn an_unknown_toolset_is_refused_with_the_known_ones() {
    let known = TOOLSETS.map(|name| format!("'{name}'")).join(", ");
    for (name, shown) in [("no-such", "'no-such'"), ("", "''"), ("it's", "\"it's\"")] {
        let expected = format!("unknown toolset {shown}; valid options are [{known}]");
        assert_eq!(refused_toolset(name), expected);
    }
}

#[test]
fn a_toolset_that_needs_a_sandbox_is_refused() {
    for name in TOOLSETS {
        if name == "web" || name == "backsearch" {
            continue;
        }
        let text = refused_toolset(name);
        // Clients look for this word, and then continue without the toolset.
        assert!(text.contains("sandbox"), "{name}: {text}");
    }
}

#[test]
fn web_toolsets_are_refused() {
    if !deviates("no toolset can be had without a sandbox or a network") {
        return;
    }
    for name in ["web", "backsearch"] {
        let text = refused_toolset(name);
        assert!(text.contains("sandbox"), "{name}: {text}");
    }
}

#[test]
fn many_sessions_run_concurrently() {
    let sessions = run_concurrently(
        (0..40).map(|index| move || ors().open("alpha", TaskSelector::At("train", index % 5))),
    );
    let texts = run_concurrently(
        sessions
            .into_iter()
            .enumerate()
            .map(|(by, session)| move || session.call("bump", json!({ "by": by })).text()),
    );
    let expected: Vec<String> = (0..40).map(|by| by.to_string()).collect();
    assert_eq!(texts, expected);
}

#[test]
fn environment_names_are_case_insensitive() {
    let listing = open_on("TermArg", json!({"id": "q0", "answer": "4"}))
        .get("task_tools")
        .json();
    assert_eq!(tool_names(&listing), ["look"]);
    assert_eq!(listing["terminal_tool"]["name"], "submit");
}
