//! A server of a language model, which environments ask.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a request waits for others that are to arrive.
const MEETING: Duration = Duration::from_secs(30);

/// A server that speaks the protocols of OpenAI, Anthropic and Tavily. The name of
/// the model says how it behaves; every other one answers `0.75`:
///
/// * `busy-once`: 429 at first;
/// * `down`: 503;
/// * `chatty`: no number;
/// * `slow`: after 60 ms;
/// * `meet-N`: once N requests wait for their answers at the same time, else 503.
pub struct ModelServer {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// If there is one, requests must have it, except those to `slow`.
    key: Option<String>,
    asked: Mutex<Vec<ModelRequest>>,
    meeting: AtomicUsize,
}

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

impl ModelServer {
    /// Starts a server that takes every key.
    pub fn start() -> ModelServer {
        ModelServer::with(Shared::default())
    }

    /// Starts a server that takes one key.
    pub fn with_key(key: &str) -> ModelServer {
        ModelServer::with(Shared {
            key: Some(key.to_owned()),
            ..Shared::default()
        })
    }

    fn with(shared: Shared) -> ModelServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(shared);
        let all = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = all.clone();
                // The other end may leave at any time.
                std::thread::spawn(move || stream.and_then(|stream| shared.answer(stream)));
            }
        });
        ModelServer { url, shared }
    }

    /// Returns its URL without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the base URL of the API.
    pub fn api(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Returns what it was asked, in order.
    pub fn asked(&self) -> Vec<ModelRequest> {
        self.shared.asked().clone()
    }

    /// Returns how often a model was asked.
    pub fn times(&self, model: &str) -> usize {
        self.shared.times(model)
    }

    /// Returns how often it was asked to grade a text.
    pub fn times_for(&self, text: &str) -> usize {
        let asked = self.shared.asked();
        asked.iter().filter(|asked| asked.text() == text).count()
    }
}

impl ModelRequest {
    /// Returns the last message.
    pub fn text(&self) -> &str {
        let messages = self.body["messages"].as_array();
        let last = messages.and_then(|messages| messages.last());
        last.and_then(|last| last["content"].as_str())
            .unwrap_or_default()
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Vec<ModelRequest>> {
        self.asked.lock().expect("nothing panics with it")
    }

    fn times(&self, model: &str) -> usize {
        let asked = self.asked();
        let is_it = |asked: &&ModelRequest| asked.body["model"] == model;
        asked.iter().filter(is_it).count()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(request) = read(&mut stream)? else {
            return Ok(());
        };
        let model = request.body["model"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.asked().push(request.clone());
        let (status, answer) = self.reply(&request, &model);
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After: 0\r\n\
             Content-Length: {}\r\n\r\n{answer}",
            answer.len()
        )
    }

    fn reply(&self, request: &ModelRequest, model: &str) -> (&'static str, String) {
        let line = request.head.lines().next().unwrap_or_default();
        let path = line.split(' ').nth(1).unwrap_or_default();
        if let Some(key) = &self.key
            && model != "slow"
            && !request.head.contains(key)
        {
            return ("401 Unauthorized", "wrong key".to_owned());
        }
        let text = match model {
            "busy-once" if self.times(model) == 1 => {
                return ("429 Too Many Requests", "busy".to_owned());
            }
            "down" => return ("503 Service Unavailable", "down".to_owned()),
            "chatty" => "I like it",
            _ => "0.75",
        };
        if model == "slow" {
            std::thread::sleep(Duration::from_millis(60));
        }
        if let Some(number) = model.strip_prefix("meet-")
            && !self.meet(number.parse().unwrap_or(usize::MAX))
        {
            return (
                "503 Service Unavailable",
                "the others did not come".to_owned(),
            );
        }
        let answer = match path {
            "/v1/chat/completions" => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{
                    "index": 0, "finish_reason": "stop", "logprobs": null,
                    "message": {"role": "assistant", "content": text},
                }],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }),
            "/v1/messages" => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": model,
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }),
            "/search" => json!({
                "query": request.body["query"], "response_time": 0.1,
                "results": [{"title": "t", "url": "https://a.com", "content": text, "score": 0.5}],
            }),
            _ => return ("404 Not Found", "no such route".to_owned()),
        };
        ("200 OK", answer.to_string())
    }

    /// Waits until as many requests as this one are here.
    fn meet(&self, number: usize) -> bool {
        self.meeting.fetch_add(1, Ordering::SeqCst);
        let until = Instant::now() + MEETING;
        while self.meeting.load(Ordering::SeqCst) < number {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// Reads a request; none if the other end leaves before it is whole.
fn read(stream: &mut TcpStream) -> std::io::Result<Option<ModelRequest>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_it = name.eq_ignore_ascii_case("content-length");
            is_it.then(|| value.parse::<usize>().ok()).flatten()
        });
        if body.len() >= length.unwrap_or(0) {
            return Ok(Some(ModelRequest {
                head: head.to_owned(),
                body: serde_json::from_str(body).unwrap_or_default(),
            }));
        }
    }
}
