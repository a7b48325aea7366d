//! Environments whose answers a language model grades.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use orwd_tests::ors::{SessionClient, StreamTranscript, TaskSelector, secrets_header};
use serde_json::{Value, json};

use super::network::Scene;

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
                answer(stream.unwrap(), &noted);
            }
        });
        ModelServer { url, asked }
    }

    fn times(&self, model: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked["model"] == model).count()
    }
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<Value>>) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the request breaks off: {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if let Ok(body) = serde_json::from_str::<Value>(body) {
            break (head.to_owned(), body);
        }
    };
    let mut noted = noted.lock().unwrap();
    noted.push(body.clone());
    let model = body["model"].as_str().unwrap();
    let times = noted.iter().filter(|asked| asked["model"] == model).count();
    let is_chat = head.starts_with("POST /v1/chat/completions ");
    let (status, answer) = match model {
        _ if !is_chat => ("404 Not Found", "no such route".to_owned()),
        _ if !head.contains(&format!("authorization: Bearer {KEY}")) => {
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
