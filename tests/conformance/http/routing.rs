//! Paths: what is redirected, what is not found, which methods exist.

use orwd_tests::expect::{NO_SESSION, assert_error, assert_json};
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::json;

use crate::support::{deviates, open, ors};

#[test]
fn an_unknown_first_segment_redirects_to_the_default_environment() {
    let check = |method: &str, target: &str, location: &str| {
        let answer = ors().fetch(&HttpRequest::new(method, target));
        assert_eq!(answer.status(), 308, "{method} {target}: {answer:?}");
        assert_eq!(answer.header("location"), Some(location));
        assert!(answer.body.is_empty());
    };
    check("GET", "/tools", "/alpha/tools");
    check("GET", "/", "/alpha/");
    check("GET", "/tools?x=1&y=a%20b", "/alpha/tools?x=1&y=a%20b");
    check("GET", "//tools", "/alpha//tools");
    check("GET", "/nosuch/tools", "/alpha/nosuch/tools");
    check("GET", "/a%20b/t", "/alpha/a%20b/t");
    check("GET", "/%C3%A9/t", "/alpha/%C3%A9/t");
    check("POST", "/num_tasks", "/alpha/num_tasks");
    for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "HEAD"] {
        check(method, "/nosuch", "/alpha/nosuch");
    }
}

#[test]
fn a_redirected_request_works_unchanged() {
    let session = open("alpha");
    let prompt = HttpRequest::get("/prompt").header(SESSION_HEADER, session.id());
    let answer = ors().client().fetch_following_redirect(&prompt);
    assert_eq!(answer.json()[0]["text"], "task train-0");

    let count = HttpRequest::post("/num_tasks").json(&json!({"split": "train"}));
    let answer = ors().client().fetch_following_redirect(&count);
    assert_json(&answer, 200, &json!({"num_tasks": 5}));
}

#[test]
fn reserved_names_are_never_redirected() {
    for name in [
        "health",
        "version",
        "ping",
        "list_environments",
        "create",
        "delete",
        "create_session",
        "delete_session",
        "openapi.json",
        "docs",
        "redoc",
    ] {
        for path in [format!("/{name}"), format!("/{}", name.to_uppercase())] {
            let status = ors().get(&path).status();
            assert_ne!(status, 308, "{path}");
        }
        let answer = ors().get(&format!("/{name}/tools"));
        assert_error(&answer, 404, &format!("unknown environment '{name}'"));
    }
}

#[test]
fn an_unknown_route_is_not_found() {
    for path in [
        "/HEALTH",
        "/alpha",
        "/alpha/",
        "/alpha/nosuch",
        "/alpha/nosuch/tools",
        "/alpha//tools",
        "/alpha/TOOLS",
        "/ALPHA/Tools",
        "/health/nosuch",
    ] {
        assert_error(&ors().get(path), 404, "Not Found");
    }
}

#[test]
fn a_percent_encoded_name_is_decoded() {
    assert_eq!(ors().get("/%61lpha/splits").status(), 200);
}

#[test]
fn a_wrong_method_gets_a_405_with_allow() {
    let check = |method: &str, path: &str, allow: &str| {
        let answer = ors().fetch(&HttpRequest::new(method, path));
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(answer.status(), 405);
        if method != "HEAD" {
            assert_error(&answer, 405, "Method Not Allowed");
        }
    };
    for path in [
        "/health",
        "/version",
        "/list_environments",
        "/alpha/tools",
        "/alpha/splits",
        "/alpha/prompt",
        "/alpha/messages",
        "/alpha/task_tools",
    ] {
        check("POST", path, "GET");
    }
    for path in [
        "/create_session",
        "/create",
        "/ping",
        "/delete",
        "/delete_session",
        "/alpha/tasks",
        "/alpha/num_tasks",
        "/alpha/task",
        "/alpha/task_range",
        "/alpha/call",
        "/alpha/score_group",
    ] {
        check("GET", path, "POST");
    }
    check("HEAD", "/ping", "POST");
    check("OPTIONS", "/health", "GET");
    check("DELETE", "/alpha/tools", "GET");
    check("PUT", "/alpha/task", "POST");
}

#[test]
fn a_head_is_a_get_without_a_body() {
    if !deviates("HEAD is a method of every GET route") {
        return;
    }
    let session = open("alpha");
    for path in [
        "/health",
        "/ready",
        "/version",
        "/list_environments",
        "/alpha/tools",
        "/alpha/splits",
        "/alpha/prompt",
        "/alpha/messages",
        "/alpha/task_tools",
        "/v1/environments/team/alpha/required-secrets",
        "/health/tools",
        "/alpha/nosuch",
        "/tools",
    ] {
        let fetch = |method: &str| {
            let request = HttpRequest::new(method, path).header(SESSION_HEADER, session.id());
            ors().fetch(&request)
        };
        let (get, head) = (fetch("GET"), fetch("HEAD"));
        assert_eq!(head.status(), get.status(), "{path}");
        assert!(head.body.is_empty(), "{path}: {head:?}");
        for name in ["content-type", "content-length", "location"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
}

#[test]
fn the_server_is_ready() {
    if !deviates("`/ready` says whether the server takes work") {
        return;
    }
    assert_json(&ors().get("/ready"), 200, &json!({"status": "ready"}));
}

/// Sends a request for this deployment.
fn deployed(request: HttpRequest, deployment: &str) -> orwd_tests::http::HttpResponse {
    ors().fetch(&request.header("X-Deployment", deployment))
}

const NO_DEPLOYMENT: &str = "Deployment not found.";

#[test]
fn a_deployment_chooses_the_environment_of_bare_paths() {
    if !deviates("`X-Deployment` chooses the environment") {
        return;
    }
    for name in ["chat", "team/chat", "a/b/chat", " chat "] {
        let task = HttpRequest::post("/task").json(&json!({"split": "train", "index": 0}));
        let answer = deployed(task, name);
        assert_eq!(answer.status(), 200, "{name}: {answer:?}");
        assert_eq!(answer.json()["env_name"], "chat", "{name}");
        let listing = deployed(HttpRequest::get("/tools?x=1"), name).json();
        assert_eq!(listing["supports_score_group"], true, "{name}");
    }
    assert_error(
        &deployed(HttpRequest::get("/nosuch"), "chat"),
        404,
        "Not Found",
    );
    assert_error(&deployed(HttpRequest::get("/"), "chat"), 404, "Not Found");
    let wrong = deployed(HttpRequest::post("/tools"), "chat");
    assert_eq!((wrong.status(), wrong.header("allow")), (405, Some("GET")));
    // A body is checked before the name, as with a name in the path.
    let invalid = deployed(HttpRequest::post("/tasks").json(&json!({})), "nonsense");
    assert_eq!(invalid.status(), 422);
}

#[test]
fn an_unknown_deployment_is_not_found() {
    if !deviates("`X-Deployment` chooses the environment") {
        return;
    }
    let long = "x".repeat(4000);
    for name in [
        "nonsense",
        "Chat",
        "chat/",
        "/",
        "chat/x",
        "ch%61t",
        "team%2Fchat",
        "chat,chat",
        "ch\u{e1}t",
        &long,
    ] {
        let tools = deployed(HttpRequest::get("/tools"), name);
        assert_error(&tools, 404, NO_DEPLOYMENT);
        let id = fresh_id();
        let create = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .json(&json!({"split": "train", "index": 0}));
        assert_error(&deployed(create, name), 404, NO_DEPLOYMENT);
        assert_error(&ors().post_empty(&id, "/ping"), 404, NO_SESSION);
    }
}

#[test]
fn a_blank_deployment_is_none() {
    let answer = deployed(HttpRequest::get("/tools"), "");
    assert_eq!(answer.header("location"), Some("/alpha/tools"));
    assert_eq!(answer.status(), 308);
}

#[test]
fn a_name_in_the_path_or_body_decides_before_the_deployment() {
    for deployment in ["chat", "nonsense"] {
        let splits = deployed(HttpRequest::get("/ALPHA/splits"), deployment);
        assert_eq!(splits.json()[3]["name"], "hard", "{deployment}");
        let unknown = deployed(HttpRequest::get("/health/tools"), deployment);
        assert_error(&unknown, 404, "unknown environment 'health'");

        let id = fresh_id();
        let body = json!({"env_name": "alpha", "split": "train", "index": 0});
        let create = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .json(&body);
        assert_eq!(deployed(create, deployment).status(), 200, "{deployment}");
        let session = ors().session("alpha", &id);
        assert_eq!(session.get("prompt").json()[0]["text"], "task train-0");
    }
}

#[test]
fn a_session_keeps_its_environment_whatever_deployment_is_named() {
    if !deviates("`X-Deployment` chooses the environment") {
        return;
    }
    let id = fresh_id();
    let opened = deployed(HttpRequest::post("/create_session"), "team/chat");
    assert_eq!(opened.status(), 200);
    let create = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"task_spec": {}}));
    assert_eq!(deployed(create, "team/chat").status(), 200);
    let session = ors().session("chat", &id);
    for deployment in ["chat", "alpha", "nonsense"] {
        let with_id = |request: HttpRequest| request.header(SESSION_HEADER, session.id());
        let ping = deployed(with_id(HttpRequest::post("/ping")), deployment);
        assert_eq!(ping.status(), 200, "{deployment}");
        let messages = deployed(with_id(HttpRequest::get("/messages")), deployment);
        assert_eq!(messages.json()[0]["role"], "user", "{deployment}");
        let tools = deployed(with_id(HttpRequest::get("/task_tools")), deployment);
        assert_eq!(tools.json()["supports_score_group"], true, "{deployment}");
        let call = with_id(HttpRequest::post("/call"))
            .header("X-Deployment", deployment)
            .json(&json!({"name": "look", "input": {}}));
        assert_eq!(ors().transcript(&call).text(), "looked", "{deployment}");
    }
    let missing = HttpRequest::post("/call").json(&json!({"name": "look", "input": {}}));
    let missing = missing.header(SESSION_HEADER, fresh_id());
    assert_error(&deployed(missing, "nonsense"), 404, NO_SESSION);
    // Environments without scoring are named as they are.
    let other = open("alpha");
    let score = HttpRequest::post("/score_group")
        .header(SESSION_HEADER, other.id())
        .json(&json!({"candidates": []}));
    let expected = "Environment 'alpha' does not implement score_group";
    assert_error(&deployed(score, "chat"), 404, expected);
}

#[test]
fn two_deployments_in_one_request_are_ambiguous() {
    if !deviates("`X-Deployment` chooses the environment") {
        return;
    }
    let twice = |first: &str, second: &str| {
        let request = HttpRequest::get("/tools").header("X-Deployment", first);
        deployed(request, second)
    };
    assert_eq!(
        twice("chat", "team/chat").json()["supports_score_group"],
        true
    );
    assert_error(&twice("nonsense", "nonsense"), 404, NO_DEPLOYMENT);
    for (first, second) in [("chat", "alpha"), ("team/chat", "nonsense")] {
        let detail = format!("X-Deployment names both '{first}' and '{second}'; send one of them");
        assert_error(&twice(first, second), 400, &detail);
    }
}

#[test]
fn a_trailing_slash_is_another_path() {
    // The reference redirects to an absolute URL; 404 is accepted as well, since
    // no client sends a trailing slash. Ignoring the slash is not accepted.
    let status = ors().get("/alpha/tools/").status();
    assert!(status == 307 || status == 404, "{status}");
}

#[test]
fn a_ping_after_a_double_slash_is_a_ping() {
    if !deviates("`//ping` is what a base address with a slash makes of `/ping`") {
        return;
    }
    let session = open("alpha");
    let answer = ors().post_empty(session.id(), "//ping");
    assert_json(&answer, 200, &json!({"status": "ok"}));
    assert_error(&ors().post_empty(&fresh_id(), "//ping"), 404, NO_SESSION);
}

#[test]
fn required_secrets_come_from_the_manifest() {
    if !deviates("the platform's route for required secrets is served") {
        return;
    }
    // An owner may be absent, as in `get("alpha")` of a client.
    for owner in ["team", "", "a/b"] {
        let answer = ors().get(&format!("/v1/environments/{owner}/alpha/required-secrets"));
        assert_json(&answer, 200, &json!({"secrets": ["K", "L", "api_key"]}));
    }
}

#[test]
fn the_session_decides_the_environment() {
    let session = open("alpha");
    for environment in ["alpha", "ALPHA", "chat", "health"] {
        let path = format!("/{environment}/prompt");
        let request = HttpRequest::get(&path).header(SESSION_HEADER, session.id());
        assert_eq!(ors().fetch(&request).json()[0]["text"], "task train-0");

        let call = HttpRequest::post(&format!("/{environment}/call"))
            .header(SESSION_HEADER, session.id())
            .json(&json!({"name": "echo", "input": {"text": environment}}));
        assert_eq!(ors().transcript(&call).text(), environment);
    }
}

#[test]
fn credentials_are_ignored_without_api_keys() {
    let headers = [
        ("X-API-Key", "whatever"),
        ("Authorization", "Bearer nonsense"),
        ("X-Deployment", "team/thing"),
        ("X-User-Id", "u"),
        ("X-Organisation-Id", "o"),
    ];
    let task = orwd_tests::ors::TaskSelector::At("train", 0);
    let session = ors().open_with("alpha", task, &headers);
    assert_eq!(session.ping().status(), 200);
}
