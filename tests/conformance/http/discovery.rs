//! What a client can read without a session: health, version, environments,
//! splits, tasks and tools.

use orwd_tests::expect::{assert_error, assert_invalid, assert_json, tool_names};
use serde_json::{Value, json};

use crate::support::ors;

/// Returns the training tasks of `alpha` in `start..stop`.
fn train(start: usize, stop: usize) -> Value {
    let task = |i: usize| json!({"id": format!("train-{i}"), "n": i});
    (start..stop).map(task).collect()
}

#[test]
fn the_server_is_healthy() {
    assert_json(&ors().get("/health"), 200, &json!({"status": "ok"}));
}

#[test]
fn the_version_names_version_and_build() {
    let version = ors().get("/version").json();
    let members: Vec<&String> = version.as_object().unwrap().keys().collect();
    // The members after these are the server's own.
    assert_eq!(members[..2], ["version", "build_sha"]);
    assert!(version["version"].is_string());
    assert!(version["build_sha"].is_string() || version["build_sha"].is_null());
}

#[test]
fn environments_are_listed_in_the_order_of_registration() {
    let expected = json!([
        "alpha", "termarg", "termnone", "chat", "slow", "broken", "indexed", "kit"
    ]);
    assert_json(&ors().get("/list_environments"), 200, &expected);
}

#[test]
fn splits_have_a_name_and_a_type() {
    let expected = json!([
        {"name": "train", "type": "train"},
        {"name": "test", "type": "test"},
        {"name": "holdout", "type": "validation"},
        {"name": "hard", "type": "test"},
    ]);
    assert_json(&ors().get("/alpha/splits"), 200, &expected);
}

#[test]
fn tasks_are_listed_whole() {
    let check = |split: &str, tasks: Value| {
        let answer = ors().post("/alpha/tasks", &json!({"split": split}));
        assert_json(&answer, 200, &json!({"tasks": tasks, "env_name": "alpha"}));
    };
    check("train", train(0, 5));
    check("holdout", json!([]));
    check(
        "test",
        json!([
            {"id": "test-0", "n": 100},
            {"id": "test-1", "n": 101, "note": "héllo \u{2028} 😀"},
        ]),
    );
    check(
        "hard",
        json!([{"id": "hard-0", "n": 7, "nested": {"a": [1, 2.5, null, true]}}]),
    );
}

#[test]
fn tasks_are_counted() {
    let check = |environment: &str, split: &str, count: u64| {
        let answer = ors().post(
            &format!("/{environment}/num_tasks"),
            &json!({"split": split}),
        );
        assert_json(&answer, 200, &json!({"num_tasks": count}));
    };
    check("alpha", "train", 5);
    check("alpha", "holdout", 0);
    check("indexed", "train", 4);
}

#[test]
fn a_task_is_found_by_its_index() {
    let check = |index: Value, position: usize| {
        let answer = ors().post("/alpha/task", &json!({"split": "train", "index": index}));
        let task = &train(0, 5)[position];
        assert_json(&answer, 200, &json!({"task": task, "env_name": "alpha"}));
    };
    check(json!(0), 0);
    check(json!(4), 4);
    check(json!(-1), 4);
    check(json!(-5), 0);
    // Integers are coerced from these spellings.
    check(json!("2"), 2);
    check(json!(2.0), 2);
    check(json!(true), 1);
}

#[test]
fn an_index_out_of_range_is_refused() {
    let check = |environment: &str, index: &str| {
        let body = format!(r#"{{"split":"train","index":{index}}}"#);
        let request =
            orwd_tests::http::HttpRequest::post(&format!("/{environment}/task")).json_text(body);
        assert_error(&ors().fetch(&request), 400, "Invalid index");
    };
    check("alpha", "5");
    check("alpha", "-6");
    check("alpha", "123456789012345678901234567890");
    check("alpha", "-123456789012345678901234567890");
    check("indexed", "4");
    // Its own lookup refuses negative indices.
    check("indexed", "-1");
}

#[test]
fn a_range_of_tasks_is_a_slice() {
    let check = |start: Value, stop: Value, expected: (usize, usize)| {
        let body = json!({"split": "train", "start": start, "stop": stop});
        let answer = ors().post("/alpha/task_range", &body);
        let tasks = train(expected.0, expected.1);
        assert_json(&answer, 200, &json!({"tasks": tasks, "env_name": "alpha"}));
    };
    let none = Value::Null;
    check(none.clone(), none.clone(), (0, 5));
    check(json!(1), json!(3), (1, 3));
    check(json!(-2), none.clone(), (3, 5));
    check(none.clone(), json!(-2), (0, 3));
    check(json!(2), json!(99), (2, 5));
    check(json!(3), json!(1), (0, 0));
    check(json!(-99), json!(2), (0, 2));
    check(json!(99), none.clone(), (0, 0));
    check(none.clone(), json!(-99), (0, 0));

    let answer = ors().post("/alpha/task_range", &json!({"split": "train"}));
    assert_eq!(answer.json()["tasks"], train(0, 5), "both are optional");
}

#[test]
fn a_range_of_any_size_is_accepted() {
    let request = orwd_tests::http::HttpRequest::post("/alpha/task_range")
        .json_text(r#"{"split":"train","start":-9e18,"stop":123456789012345678901234567890}"#);
    assert_eq!(ors().fetch(&request).json()["tasks"], train(0, 5));
}

#[test]
fn an_environment_without_a_task_list_is_read_by_index() {
    let refused = ors().post("/indexed/tasks", &json!({"split": "train"}));
    assert_error(
        &refused,
        400,
        "list_tasks is not supported for this environment. \
         Use the index-based API (num_tasks + get_task) instead.",
    );
    let body = json!({"split": "train", "start": -3, "stop": -1});
    let tasks = json!([{"id": "ix-1", "square": 1}, {"id": "ix-2", "square": 4}]);
    let answer = ors().post("/indexed/task_range", &body);
    assert_json(
        &answer,
        200,
        &json!({"tasks": tasks, "env_name": "indexed"}),
    );
}

#[test]
fn an_unknown_split_is_refused_by_every_route() {
    for route in ["tasks", "num_tasks", "task", "task_range"] {
        let mut body = json!({"split": "nope"});
        if route == "task" {
            body["index"] = json!(0);
        }
        let answer = ors().post(&format!("/alpha/{route}"), &body);
        assert_error(&answer, 400, "Invalid split");
    }
}

#[test]
fn the_environment_name_is_echoed_as_requested() {
    let body = json!({"split": "train", "index": 0});
    let answer = ors().post("/ALpha/task", &body);
    let expected = json!({"task": {"id": "train-0", "n": 0}, "env_name": "ALpha"});
    assert_json(&answer, 200, &expected);
    assert_eq!(ors().get("/ALPHA/splits").status(), 200);
}

#[test]
fn a_listing_has_four_members_and_a_tool_three() {
    let listing = ors().get("/alpha/tools").json();
    let members: Vec<&String> = listing.as_object().unwrap().keys().collect();
    let expected = [
        "tools",
        "terminal_tool",
        "supports_score_group",
        "message_block_types",
    ];
    assert_eq!(members, expected);
    assert_eq!(listing["terminal_tool"], Value::Null);
    assert_eq!(listing["supports_score_group"], false);
    let types = json!(["text", "image", "reasoning", "tool_call", "tool_result"]);
    assert_eq!(listing["message_block_types"], types);
    for tool in listing["tools"].as_array().unwrap() {
        // Clients pass these to a constructor that accepts no others.
        let members: Vec<&String> = tool.as_object().unwrap().keys().collect();
        assert_eq!(members, ["name", "description", "input_schema"]);
    }
}

#[test]
fn tools_are_listed_by_name_and_unlisted_ones_are_not() {
    let expected = [
        "big", "bump", "csleep", "echo", "empty", "fail", "finish", "image", "nap", "noargs",
        "reward", "secret", "sleep", "spec", "strict", "xsleep",
    ];
    assert_eq!(tool_names(&ors().get("/alpha/tools").json()), expected);
}

/// Returns the listing of one tool of `alpha`.
fn tool(name: &str) -> Value {
    let mut listing = ors().get("/alpha/tools").json();
    let tools = listing["tools"].as_array_mut().unwrap();
    let found = tools.iter_mut().find(|tool| tool["name"] == name);
    found.unwrap().take()
}

#[test]
fn a_tool_is_described_with_its_schema() {
    let echo = tool("echo");
    assert_eq!(echo["description"], "Return the given text.");
    let schema = &echo["input_schema"];
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["required"], json!(["text"]));
    assert_eq!(schema["properties"]["text"]["type"], "string");
    let described = &schema["properties"]["text"]["description"];
    assert_eq!(described, "Text to return");
    assert_eq!(schema["properties"]["upper"]["type"], "boolean");
    assert_eq!(schema["properties"]["upper"]["default"], false);
}

#[test]
fn a_tool_without_parameters_has_a_null_schema() {
    assert_eq!(tool("noargs").get("input_schema"), Some(&Value::Null));
}

#[test]
fn parameters_keep_the_order_of_declaration() {
    let check = |name: &str, expected: &[&str]| {
        let tool = tool(name);
        let properties = tool["input_schema"]["properties"].as_object().unwrap();
        let order: Vec<&String> = properties.keys().collect();
        assert_eq!(order, expected);
    };
    check("big", &["unit", "count"]);
    check("strict", &["level", "count"]);
}

#[test]
fn support_for_group_scoring_is_listed() {
    assert_eq!(
        ors().get("/chat/tools").json()["supports_score_group"],
        true
    );
}

#[test]
fn a_terminal_tool_is_listed_separately() {
    let check = |environment: &str, tools: &[&str], terminal: Value| {
        let listing = ors().get(&format!("/{environment}/tools")).json();
        assert_eq!(tool_names(&listing), tools);
        assert_eq!(listing["terminal_tool"], terminal);
    };
    let submit = json!({
        "name": "submit", "arg": "answer", "description": "Grade the final message."
    });
    check("termarg", &["look"], submit);
    let stop = json!({"name": "stop", "arg": null, "description": "Grade from state."});
    check("termnone", &[], stop);
}

#[test]
fn requests_for_tasks_are_checked() {
    let check = |route: &str, body: Value, kind: &str, place: Value| {
        let answer = ors().post(&format!("/alpha/{route}"), &body);
        assert_invalid(&answer, kind, &place);
    };
    let split = || json!(["body", "split"]);
    let index = || json!(["body", "index"]);
    for route in ["tasks", "num_tasks", "task", "task_range"] {
        check(route, json!({"index": 0}), "missing", split());
    }
    check("task", json!({"split": "train"}), "missing", index());
    check("tasks", json!({"split": 3}), "string_type", split());
    check("tasks", json!({"split": null}), "string_type", split());
    check(
        "tasks",
        json!({"split": "train", "x": 1}),
        "extra_forbidden",
        json!(["body", "x"]),
    );
    for (value, kind) in [
        (json!(1.5), "int_from_float"),
        (json!("one"), "int_parsing"),
        (json!(null), "int_type"),
        (json!([]), "int_type"),
    ] {
        check(
            "task",
            json!({"split": "train", "index": value}),
            kind,
            index(),
        );
    }
    check(
        "task_range",
        json!({"split": "train", "start": 1.5}),
        "int_from_float",
        json!(["body", "start"]),
    );
}
