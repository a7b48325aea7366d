//! Environments whose answers a language model grades.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orwd_tests::background::wait_until;
use orwd_tests::ors::{SessionClient, StreamTranscript, TaskSelector, secrets_header};
use orwd_tests::process::OrwdCommand;
use serde_json::{Value, json};

use super::network::Scene;
use crate::support::TIMEOUT;

const KEY: &str = "kanarienvogel-judge-key";

/// A server that speaks the protocol of OpenAI. The model says how it behaves.
struct ModelServer {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl ModelServer {
    fn start() -> ModelServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = noted.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &noted));
            }
        });
        ModelServer { url, asked }
    }

    fn times(&self, model: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked["model"] == model).count()
    }

    /// Returns how often it was asked to grade this.
    fn times_for(&self, answer: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        let is_it = |asked: &&Value| asked["messages"][1]["content"] == answer;
        asked.iter().filter(is_it).count()
    }
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<Value>>) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        // The other end may be killed.
        let Ok(read @ 1..) = stream.read(&mut buffer) else {
            return;
        };
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if let Ok(body) = serde_json::from_str::<Value>(body) {
            break (head.to_owned(), body);
        }
    };
    let model = body["model"].as_str().unwrap();
    let times = {
        let mut noted = noted.lock().unwrap();
        noted.push(body.clone());
        noted.iter().filter(|asked| asked["model"] == model).count()
    };
    if model == "slow" {
        std::thread::sleep(Duration::from_millis(60));
    }
    let is_chat = head.starts_with("POST /v1/chat/completions ");
    let (status, answer) = match model {
        _ if !is_chat => ("404 Not Found", "no such route".to_owned()),
        _ if model != "slow" && !head.contains(&format!("authorization: Bearer {KEY}")) => {
            ("401 Unauthorized", "wrong key".to_owned())
        }
        "busy-once" if times == 1 => ("429 Too Many Requests", "busy".to_owned()),
        "down" => ("503 Service Unavailable", "down".to_owned()),
        _ => {
            let text = if model == "chatty" {
                "I like it"
            } else {
                "0.75"
            };
            let message = json!({"role": "assistant", "content": text});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            ("200 OK", json!({"choices": [choice]}).to_string())
        }
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nRetry-After: 0\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
}

#[test]
fn a_model_grades_and_one_that_fails_gives_no_reward() {
    let model = ModelServer::start();
    let rule = format!("{}/v1", model.url);
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
fn kills_during_grading_ask_the_model_at_most_once() {
    let model = ModelServer::start();
    let rule = format!("{}/v1", model.url);
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
    let cache = orwd_tests::artifacts::target_dir().join("orwd-cache");
    let state = scene.scratch.at("state");
    let replayed = OrwdCommand::new([
        "replay".as_ref(),
        session.id().as_ref(),
        "--state".as_ref(),
        state.as_ref(),
        "--cache".as_ref(),
        cache.as_os_str(),
    ])
    .timeout(Duration::from_secs(120))
    .run();
    let replayed = replayed.expect_success();
    assert!(replayed.contains(" 0 different"), "{replayed}");
    let asked = model.asked.lock().unwrap().len();
    assert!(asked <= 6, "the replay asked");
}
