//! A finished episode: the first result with `finished` is the last result of
//! its session. And terminal tools, which finish an episode.

use orwd_tests::expect::tool_names;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::SESSION_HEADER;
use serde_json::json;

use crate::support::{open, open_on, ors};

/// Returns the refusal of a call after the end of the episode.
fn episode_finished(tool: &str) -> (String, String) {
    let error = format!(
        "'{tool}' was not run: the episode has finished (a tool returned finished=True), \
         so no further tool calls are accepted."
    );
    ("episode_finished".to_owned(), error)
}

#[test]
fn no_call_runs_after_the_end() {
    let session = open("alpha");
    let end = session.call("finish", json!({"reward": 1})).output();
    assert_eq!(end["finished"], true);
    assert_eq!(end["reward"], 1.0);
    assert_eq!(
        session.call("echo", json!({"text": "x"})).refusal(),
        episode_finished("echo")
    );
    assert_eq!(
        session.call("finish", json!({"reward": 0})).refusal(),
        episode_finished("finish")
    );
    // An unknown tool is still unknown; the input is no longer validated.
    assert_eq!(session.call("nosuch", json!({})).reason(), "not_found");
    assert_eq!(session.call("echo", json!({})).reason(), "episode_finished");
}

#[test]
fn an_episode_can_finish_without_a_reward() {
    let end = open("alpha").call("finish", json!({})).output();
    assert_eq!(end["finished"], true);
    assert!(end["reward"].is_null());
}

#[test]
fn a_reward_does_not_finish_the_episode() {
    let session = open("alpha");
    session.call("reward", json!({"reward": 1}));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_finished_session_can_be_read() {
    let session = open("alpha");
    session.call("finish", json!({}));
    assert_eq!(session.ping().status(), 200);
    for route in ["prompt", "messages", "task_tools"] {
        assert_eq!(session.get(route).status(), 200, "{route}");
    }
}

#[test]
fn the_last_result_can_be_resumed() {
    let session = open("alpha");
    let end = session.call("finish", json!({"reward": 0.5}));
    assert_eq!(session.resume(end.task_id()).events, end.events);
}

#[test]
fn finishing_one_session_does_not_finish_another() {
    let (ended, other) = (open("alpha"), open("alpha"));
    ended.call("finish", json!({}));
    assert_eq!(other.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_terminal_tool_grades_the_answer() {
    let check = |index: i64, answer: &str, text: &str, reward: f64| {
        let session = ors().open("termarg", orwd_tests::ors::TaskSelector::At("train", index));
        let output = session.call("submit", json!({ "answer": answer })).output();
        assert_eq!(output["blocks"][0]["text"], text);
        assert_eq!(output["reward"], reward);
        assert_eq!(output["finished"], true);
        assert_eq!(
            session.call("look", json!({})).refusal(),
            episode_finished("look")
        );
    };
    check(0, " 4 ", "correct", 1.0);
    check(1, "4", "wrong", 0.0);
}

#[test]
fn an_invalid_terminal_call_does_not_finish_the_episode() {
    let session = open("termarg");
    let refused = session.call("submit", json!({}));
    assert_eq!(refused.reason(), "input_validation");
    assert_eq!(session.call("look", json!({})).text(), "looked");
    let end = session.call("submit", json!({"answer": "4"})).output();
    assert_eq!(end["finished"], true);
}

#[test]
fn a_terminal_tool_without_an_argument_ignores_its_input() {
    let end = open("termnone")
        .call("stop", json!({"message": "bye"}))
        .output();
    assert_eq!(end["reward"], 0.5);
    assert_eq!(end["finished"], true);
}

#[test]
fn a_sessions_listing_includes_the_terminal_tool() {
    let listing = open_on("termarg", json!({"answer": "4"}))
        .get("task_tools")
        .json();
    assert_eq!(tool_names(&listing), ["look"]);
    let terminal = json!({
        "name": "submit", "arg": "answer", "description": "Grade the final message."
    });
    assert_eq!(listing["terminal_tool"], terminal);
}

#[test]
fn a_queued_call_is_refused_after_the_end() {
    let session = open("alpha");
    let mut ending = session.start("finish", json!({"ms": 700, "reward": 1}));
    ending.task_id();
    let mut waiting = session.start("finish", json!({"ms": 0, "reward": 2}));
    waiting.task_id();
    assert_eq!(ending.finish().output()["reward"], 1.0);
    assert_eq!(waiting.finish().refusal(), episode_finished("finish"));

    // The first end counts.
    let request = HttpRequest::post("/ping").header(SESSION_HEADER, session.id());
    assert_eq!(ors().fetch(&request).status(), 200);
}
