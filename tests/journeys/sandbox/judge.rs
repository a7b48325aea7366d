//! Environments whose answers a language model grades.

use std::time::Duration;

use orwd_tests::background::wait_until;
use orwd_tests::model_server::ModelServer;
use orwd_tests::ors::{SessionClient, StreamTranscript, TaskSelector, secrets_header};
use orwd_tests::process::replay_without_difference;
use serde_json::json;

use super::network::Scene;
use crate::support::TIMEOUT;

const KEY: &str = "kanarienvogel-judge-key";

#[test]
fn a_model_grades_and_one_that_fails_gives_no_reward() {
    let model = ModelServer::with_key(KEY);
    let rule = model.api();
    let scene = Scene::new(&rule, &[format!("judge={rule}")]);
    let server = scene.start();
    let header = secrets_header(&json!({"KEY": {"value": KEY, "allowed_domains": ["127.0.0.1"]}}));
    let headers = [("X-Secrets", header.as_str())];
    let ors = server.ors();
    let session = ors.open_with("judge", TaskSelector::At("train", 0), &headers);
    let judge = |session: &SessionClient, name: &str| -> StreamTranscript {
        let input = json!({"url": rule, "model": name, "answer": "42"});
        session.call("judge", input)
    };
    for (name, times) in [("good", 1), ("busy-once", 2)] {
        let graded = judge(&session, name);
        assert_eq!(graded.output()["reward"], 0.75, "{name}: {graded:?}");
        assert_eq!(model.times(name), times, "{name}");
    }
    for (name, times, part) in [("down", 3, "503"), ("chatty", 1, "no number")] {
        let failed = judge(&session, name);
        assert_eq!(failed.names(), ["task_id", "error"], "{name}: {failed:?}");
        assert!(failed.error().contains(part), "{}", failed.error());
        assert_eq!(model.times(name), times, "{name}");
    }
}

#[test]
fn requests_that_are_started_together_are_on_their_way_at_once() {
    let model = ModelServer::start();
    let rule = model.api();
    let scene = Scene::new(&rule, &[format!("judge={rule}")]);
    let mut server = scene.start();
    let session = server.ors().open("judge", TaskSelector::At("train", 0));
    // The model answers none before all ten are there, and refuses the last one.
    let mut urls = vec![format!("{rule}/chat/completions"); 9];
    urls.push(format!("{rule}/other"));
    let body = json!({"model": "meet-10", "messages": []}).to_string();
    let input = json!({"urls": urls, "at_once": true, "method": "POST", "body": body});
    let said = session.call("send", input).text();
    let statuses: Vec<&str> = said.lines().map(|line| &line[..4]).collect();
    assert_eq!(statuses[..9], ["200 "; 9], "{said}");
    assert_eq!(statuses[9..], ["404 "], "{said}");
    server.kill();
    replay_without_difference(session.id(), &scene.scratch.at("state"));
    assert_eq!(model.times("meet-10"), 10, "the replay asked");
    session.leave_open();
}

#[test]
fn kills_during_grading_ask_the_model_at_most_once() {
    let model = ModelServer::with_key(KEY);
    let rule = model.api();
    let scene = Scene::new(&rule, &[format!("judge={rule}")]);
    let mut server = scene.start();
    let session = server.ors().open("judge", TaskSelector::At("train", 0));
    for round in 0..6_u64 {
        let answer = format!("answer {round}");
        let input = json!({"url": rule, "model": "slow", "answer": answer});
        let mut stream = session.start("judge", input.clone());
        let task_id = stream.task_id();
        // Before the model is asked, while it grades, and when its answer has come.
        if round % 3 > 0 {
            wait_until("it was asked", TIMEOUT, || model.times_for(&answer) == 1);
        }
        std::thread::sleep(Duration::from_millis(40 * (round % 3)));
        server.kill();
        drop(stream);
        server = scene.start();
        let body = json!({"name": "judge", "input": input, "task_id": task_id});
        let again = session
            .ors()
            .try_post_as(session.id(), "/judge/call", &body);
        let again = again.expect("a response").text().to_owned();
        let times = model.times_for(&answer);
        let is_graded = again.contains("0.75") && times == 1;
        let is_in_doubt = again.contains("not sent again") && times <= 1;
        assert!(
            is_graded || is_in_doubt,
            "{times} {again}\n{}",
            server.log()
        );
    }
    replay_without_difference(session.id(), &scene.scratch.at("state"));
    assert!(model.asked().len() <= 6, "the replay asked");
}
