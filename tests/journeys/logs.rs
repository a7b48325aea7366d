//! The log: readable or JSON, with what an operator needs, and without what
//! nobody may know.

use orwd_tests::http::Request;
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Task, secrets_header};
use orwd_tests::server::{Serve, Server};
use serde_json::{Value, json};

use crate::SOON;

/// An episode that fails in one call, with a secret that must not be seen.
fn episode(server: &Server) -> String {
    let ors = server.ors();
    let header = secrets_header(&json!({"K": {"value": "streng-geheim"}}));
    let task = Task::At("train", 0);
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
    ors.ask(&Request::get("/alpha/nosuch"));
    session.id().to_owned()
}

#[test]
fn json_lines_are_json_lines() {
    let server = Serve::fixtures(&["alpha"])
        .set("--log-format", "json")
        .start();
    let id = episode(&server);
    wait_until("the session is named", SOON, || server.log().contains(&id));
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
    secrets_are_kept(&log);
}

#[test]
fn text_is_for_people_and_quiet_about_pings() {
    let server = Serve::fixtures(&["alpha"]).start();
    let id = episode(&server);
    wait_until("the session is named", SOON, || server.log().contains(&id));
    let log = server.log();
    assert!(!log.contains("/ping"), "pings are for debugging:\n{log}");
    assert!(!log.contains('\u{1b}'), "colours are for terminals:\n{log}");
    secrets_are_kept(&log);
}

fn secrets_are_kept(log: &str) {
    let encoded = secrets_header(&json!({"K": {"value": "streng-geheim"}}));
    for secret in ["streng-geheim", "auch-geheim", &encoded] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }
}
