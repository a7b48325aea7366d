//! Python environments that make HTTP requests, with clients as they are.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use orwd_tests::ors::{TaskSelector, secrets_header};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::building::{build, source};

const KEY: &str = "kanarienvogel-python-key";

const ANSWER: &str = r#"{"choices": [{"message": {"content": "0.75"}}]}"#;

/// A server of a model. Returns its URL, and what it is asked.
fn model() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let noted = noted.clone();
            // The other end may leave at any time.
            std::thread::spawn(move || stream.and_then(|stream| answer(stream, &noted)));
        }
    });
    (url, asked)
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut buffer = [0; 65536];
    let read = stream.read(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
    noted.lock().expect("a lock").push(text);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    )
}

#[test]
fn clients_of_python_make_requests_with_a_key_that_they_never_have() {
    let (url, asked) = model();
    let folder = TestDir::new();
    for file in ["env.py", "requirements.txt"] {
        folder.copy(&format!("judge/{file}"), &source("judge").join(file));
    }
    let manifest = format!("name = \"judge\"\nsecrets = [\"KEY\"]\n[network]\nallow = [{url:?}]\n");
    folder.write("judge/orwd.toml", manifest);
    let path = folder.path().join("judge");
    build(&path);
    let server = ServeCommand::path(&path)
        .set("--allow-network", format!("judge={url}"))
        .start();
    let secrets = json!({"KEY": {"value": KEY, "allowed_domains": ["127.0.0.1"]}});
    let header = secrets_header(&secrets);
    let headers = [("X-Secrets", header.as_str())];
    let ors = server.ors();
    let session = ors.open_with("judge", TaskSelector::At("train", 0), &headers);
    let key = session.call("shown", json!({})).text();
    assert!(key.starts_with("__SECRET:"), "{key}");

    let input = json!({"url": format!("{url}/v1"), "text": "42", "times": 8});
    let graded = session.call("grade", input);
    assert_eq!(graded.output()["reward"], 0.75, "{graded:?}");
    let plainly = session.call("plainly", json!({"url": format!("{url}/v1"), "text": "42"}));
    assert_eq!(plainly.text(), "0.75 0.75");
    let asked = asked.lock().expect("a lock").clone();
    assert_eq!(asked.len(), 10);
    let header = format!("authorization: Bearer {KEY}\r\n");
    for text in &asked {
        assert!(text.starts_with("POST /v1 HTTP/1.1\r\n"), "{text}");
        assert!(text.contains(&header), "{text}");
    }

    // Where the rules do not lead, the client sees why.
    let input = json!({"url": "http://169.254.169.254/", "text": "42"});
    let refused = session.call("grade", input);
    assert!(refused.error().contains("403"), "{refused:?}");
}
