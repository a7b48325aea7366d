//! The end of an episode: the first result that says `finished` is the last
//! result of its session. And terminal tools, which bring it about.

use orwd_tests::expect::tool_names;
use orwd_tests::http::Request;
use orwd_tests::ors::SESSION_HEADER;
use serde_json::json;

use crate::{open, open_on, ors};

fn over(tool: &str) -> (String, String) {
    let error = format!(
        "'{tool}' was not run: the episode has finished (a tool returned finished=True), \
         so no further tool calls are accepted."
    );
    ("episode_finished".to_owned(), error)
}

#[test]
fn nothing_runs_after_the_end() {
    let session = open("alpha");
    let end = session.call("finish", json!({"reward": 1})).output();
    assert_eq!(end["finished"], true);
    assert_eq!(end["reward"], 1.0);
    assert_eq!(
        session.call("echo", json!({"text": "x"})).refusal(),
        over("echo")
    );
    assert_eq!(
        session.call("finish", json!({"reward": 0})).refusal(),
        over("finish")
    );
    // What is unknown stays unknown, and what does not fit is not looked at.
    assert_eq!(session.call("nosuch", json!({})).reason(), "not_found");
    assert_eq!(session.call("echo", json!({})).reason(), "episode_finished");
}

#[test]
fn an_end_needs_no_reward() {
    let end = open("alpha").call("finish", json!({})).output();
    assert_eq!(end["finished"], true);
    assert!(end["reward"].is_null());
}

#[test]
fn a_reward_is_not_an_end() {
    let session = open("alpha");
    session.call("reward", json!({"reward": 1}));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_session_can_be_read_after_the_end() {
    let session = open("alpha");
    session.call("finish", json!({}));
    assert_eq!(session.ping().status(), 200);
    for route in ["prompt", "messages", "task_tools"] {
        assert_eq!(session.get(route).status(), 200, "{route}");
    }
}

#[test]
fn the_end_can_be_read_again() {
    let session = open("alpha");
    let end = session.call("finish", json!({"reward": 0.5}));
    assert_eq!(session.resume(end.task_id()).events, end.events);
}

#[test]
fn the_end_of_one_session_is_not_the_end_of_another() {
    let (ended, other) = (open("alpha"), open("alpha"));
    ended.call("finish", json!({}));
    assert_eq!(other.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_terminal_tool_grades_the_answer() {
    let check = |index: i64, answer: &str, text: &str, reward: f64| {
        let session = ors().open("termarg", orwd_tests::ors::Task::At("train", index));
        let output = session.call("submit", json!({ "answer": answer })).output();
        assert_eq!(output["blocks"][0]["text"], text);
        assert_eq!(output["reward"], reward);
        assert_eq!(output["finished"], true);
        assert_eq!(session.call("look", json!({})).refusal(), over("look"));
    };
    check(0, " 4 ", "correct", 1.0);
    check(1, "4", "wrong", 0.0);
}

#[test]
fn a_terminal_call_that_does_not_fit_ends_nothing() {
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
fn a_sessions_listing_describes_the_terminal_tool_too() {
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
fn a_call_that_waited_for_the_end_is_refused() {
    let session = open("alpha");
    let mut ending = session.start("finish", json!({"ms": 700, "reward": 1}));
    ending.task_id();
    let mut waiting = session.start("finish", json!({"ms": 0, "reward": 2}));
    waiting.task_id();
    assert_eq!(ending.finish().output()["reward"], 1.0);
    assert_eq!(waiting.finish().refusal(), over("finish"));

    // The first end is the one that stays.
    let request = Request::post("/ping").header(SESSION_HEADER, session.id());
    assert_eq!(ors().ask(&request).status(), 200);
}
