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
    check("HEAD", "/health", "GET");
    check("OPTIONS", "/health", "GET");
    check("DELETE", "/alpha/tools", "GET");
    check("PUT", "/alpha/task", "POST");
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
    let answer = ors().get("/v1/environments/team/alpha/required-secrets");
    assert_json(&answer, 200, &json!({"secrets": ["K", "L", "api_key"]}));
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
