//! The log, as text or JSON: it has the session ids, and no secrets.

use orwd_tests::background::wait_until;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SessionClient, TaskSelector, fresh_id, secrets_header};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// Runs an episode with a failed call, and with secrets that must not be logged.
fn episode(server: &ServerProcess) -> String {
    let ors = server.ors();
    let header = secrets_header(&json!({"K": {"value": "streng-geheim"}}));
    let task = TaskSelector::At("train", 0);
    let session = ors.open_with(
        "alpha",
        task,
        &[("X-Secrets", &header), ("X-API-Key", "auch-geheim")],
    );
    assert_eq!(
        session.call("secret", json!({"name": "K"})).text(),
        "streng-geheim"
    );
    session.call("fail", json!({"message": "it went wrong"}));
    for _ in 0..3 {
        session.ping();
    }
    ors.fetch(&HttpRequest::get("/alpha/nosuch"));
    session.id().to_owned()
}

#[test]
fn every_line_of_the_json_log_is_json() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--log-format", "json")
        .start();
    let id = episode(&server);
    wait_until("the session id is logged", TIMEOUT, || {
        server.log().contains(&id)
    });
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| !line.starts_with("orwd is listening"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    assert!(!lines.is_empty());
    for line in &lines {
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
    has_no_secrets(&log);
}

#[test]
fn the_text_log_has_no_pings_and_no_colours() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let id = episode(&server);
    wait_until("the session id is logged", TIMEOUT, || {
        server.log().contains(&id)
    });
    let log = server.log();
    assert!(
        !log.contains("/ping"),
        "pings are logged at debug level only:\n{log}"
    );
    assert!(
        !log.contains('\u{1b}'),
        "colours in the log of a pipe:\n{log}"
    );
    has_no_secrets(&log);
}

/// Prints as many line feeds as it can, again and again.
fn flood(session: &SessionClient) {
    for _ in 0..15 {
        let call = session.call("act", json!({"how": "print_line_feeds"}));
        assert_eq!(call.text(), "fine");
    }
}

#[test]
fn guests_that_flood_the_log_displace_nothing_of_others() {
    let server = ServeCommand::fixtures(&["hostile"]).start();
    let open = || {
        let task = TaskSelector::Spec(json!({}));
        server.ors().open("hostile", task)
    };
    let other = open();
    let floods: Vec<SessionClient> = (0..4).map(|_| open()).collect();
    let before = server.log().len();
    let marks: Vec<String> = (0..100).map(|_| fresh_id()).collect();
    std::thread::scope(|scope| {
        for session in &floods {
            scope.spawn(|| flood(session));
        }
        for mark in &marks {
            let body = json!({"name": "fine", "input": {}});
            let request = other.post_request("call", &body);
            let call = server
                .ors()
                .transcript(&request.header("X-Request-Id", mark));
            assert_eq!(call.text(), "fine");
        }
    });
    let ids: Vec<String> = floods.iter().map(|one| one.id().to_owned()).collect();
    for session in floods {
        session.delete();
    }
    // What is dropped is said, by session and at the end too.
    wait_until("dropped output is said", TIMEOUT, || {
        let log = server.log();
        let said = |id: &String| {
            let mut lines = log.lines();
            lines.any(|line| line.contains("drop guest output") && line.contains(id.as_str()))
        };
        ids.iter().all(said)
    });
    let log = server.log();
    for mark in &marks {
        assert!(
            log.contains(mark.as_str()),
            "the line of a request is missing"
        );
    }
    // A session has 64 KiB a call, counted as the log has it.
    let written = log.len() - before;
    assert!(written < 4 * 15 * (64 << 10) * 2, "{written} bytes of log");
}

fn has_no_secrets(log: &str) {
    let encoded = secrets_header(&json!({"K": {"value": "streng-geheim"}}));
    for secret in ["streng-geheim", "auch-geheim", &encoded] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }
}
