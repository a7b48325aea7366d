//! The log, as text or JSON: it has the session ids, and no secrets.

use orwd_tests::background::wait_until;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{TaskSelector, secrets_header};
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

fn has_no_secrets(log: &str) {
    let encoded = secrets_header(&json!({"K": {"value": "streng-geheim"}}));
    for secret in ["streng-geheim", "auch-geheim", &encoded] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }
}
