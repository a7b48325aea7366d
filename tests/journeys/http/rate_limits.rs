//! Rate limits and quotas: a client that exceeds one gets an error in the form
//! of the contract with `Retry-After`, and other clients are not affected.

use std::time::{Duration, Instant};

use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::{
    EventStream, OrsClient, SESSION_HEADER, StreamTranscript, TaskSelector, fresh_id,
};
use orwd_tests::process::{OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// A server with API keys, and two clients.
struct KeyedServer {
    server: ServerProcess,
    alice: KeyedClient,
    bob: KeyedClient,
    /// The server keeps reading the key file.
    _dir: TestDir,
}

/// A client with an API key.
struct KeyedClient {
    ors: OrsClient,
    key: String,
}

impl KeyedServer {
    fn start(flags: &[(&str, &str)]) -> KeyedServer {
        let scratch = TestDir::new();
        let file = scratch.at("keys.toml");
        let [alice, bob] = ["alice", "bob"].map(|name| {
            let made = OrwdCommand::new(["keys", "add", name, "--api-keys", &file]).run();
            made.expect_success().trim_end().to_owned()
        });
        let mut serve = ServeCommand::fixtures(&["alpha"]).set("--api-keys", &file);
        for (flag, value) in flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start();
        let client = |key| KeyedClient {
            ors: server.ors(),
            key,
        };
        let (alice, bob) = (client(alice), client(bob));
        KeyedServer {
            server,
            alice,
            bob,
            _dir: scratch,
        }
    }
}

impl KeyedClient {
    fn with(&self, id: &str, request: HttpRequest) -> HttpRequest {
        request
            .header("X-API-Key", &self.key)
            .header(SESSION_HEADER, id)
    }

    fn post(&self, id: &str, path: &str, body: &Value) -> HttpResponse {
        self.ors
            .fetch(&self.with(id, HttpRequest::post(path).json(body)))
    }

    fn create(&self, id: &str) -> HttpResponse {
        self.post(id, "/create", &TaskSelector::Spec(json!({})).body("alpha"))
    }

    /// Opens a session, which must succeed.
    fn open(&self) -> String {
        let id = fresh_id();
        let answer = self.create(&id);
        assert_eq!(answer.status(), 200, "{answer:?}");
        id
    }

    fn delete(&self, id: &str) {
        assert_eq!(self.post(id, "/delete", &json!({})).status(), 200);
    }

    fn call(&self, id: &str, tool: &str, input: Value) -> HttpRequest {
        let body = json!({"name": tool, "input": input});
        self.with(id, HttpRequest::post("/alpha/call").json(&body))
    }

    fn start(&self, id: &str, tool: &str, input: Value) -> EventStream {
        EventStream::open(self.ors.client(), &self.call(id, tool, input))
    }

    fn called(&self, id: &str, tool: &str) -> StreamTranscript {
        self.ors.transcript(&self.call(id, tool, json!({})))
    }
}

/// Asserts a 429 with `Retry-After` of at most `most` seconds.
#[track_caller]
fn too_many(answer: &HttpResponse, part: &str, most: u64) {
    let message = error_detail(answer, 429);
    assert!(message.contains(part), "{message}");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most).contains(&seconds), "{seconds}");
}

/// Repeats a request until it gets a 429, and returns that response.
fn until_refused(mut ask: impl FnMut() -> HttpResponse) -> HttpResponse {
    for _ in 0..200 {
        let answer = ask();
        if answer.status() == 429 {
            return answer;
        }
    }
    panic!("never limited");
}

#[test]
fn wrong_keys_are_rate_limited_and_valid_ones_never() {
    let KeyedServer { server, alice, .. } = &KeyedServer::start(&[("--auth-failure-rate", "5")]);
    let ask = |key: &str| {
        let request = HttpRequest::get("/list_environments").header("X-API-Key", key);
        server.ors().fetch(&request)
    };
    for n in 0..5 {
        assert_eq!(ask(&format!("orwd_{n}_{n}")).status(), 401);
    }
    too_many(&until_refused(|| ask("orwd_5_5")), "wrong API key", 12);
    too_many(&until_refused(|| ask("")), "wrong API key", 12);
    assert_eq!(ask(&alice.key).status(), 200);
    assert_eq!(server.ors().get("/health").status(), 200);
    for _ in 0..100 {
        ask("orwd_6_6");
    }
    // A key in the URL does not count.
    let in_address = format!("/list_environments?api_key={0}&key={0}", alice.key);
    assert_ne!(server.ors().get(&in_address).status(), 200);
    wait_until("it is logged", TIMEOUT, || {
        server.log().contains("auth failure rate limit reached")
    });
    let log = server.log();
    assert_eq!(
        log.matches("auth failure rate limit reached").count(),
        1,
        "{log}"
    );
    // Except for a few that got a token again.
    assert!(log.matches("status=4").count() < 30, "{log}");
    assert!(!log.contains(&alice.key), "{log}");
}

#[test]
fn session_creation_is_rate_limited() {
    let KeyedServer { alice, bob, .. } = &KeyedServer::start(&[("--create-rate", "1")]);
    let opened: Vec<String> = (0..10).map(|_| alice.open()).collect();
    too_many(&until_refused(|| alice.create(&fresh_id())), "too fast", 1);
    // The id of a refused creation stays unused, and existing sessions work.
    let id = fresh_id();
    let refused = until_refused(|| {
        alice.delete(&id);
        alice.create(&id)
    });
    too_many(&refused, "too fast", 1);
    assert_eq!(alice.called(&opened[0], "noargs").text(), "noargs ok");
    bob.open();
    wait_until("a token is available", TIMEOUT, || {
        alice.create(&id).status() == 200
    });
}

#[test]
fn without_keys_session_creation_is_rate_limited_by_address() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--create-rate", "1")
        .start();
    let ors = server.ors();
    let create = || ors.create(&fresh_id(), &json!({"task_spec": {}}));
    for _ in 0..10 {
        assert_eq!(create().status(), 200);
    }
    too_many(&until_refused(create), "too fast", 1);
}

#[test]
fn sessions_per_key_are_limited() {
    let KeyedServer { alice, bob, .. } = &KeyedServer::start(&[("--max-sessions-per-key", "2")]);
    let (first, second) = (alice.open(), alice.open());
    let refused = alice.create(&fresh_id());
    too_many(&refused, "as many sessions as it may", 2);
    assert_eq!(alice.create(&first).status(), 400, "it exists");
    bob.open();
    assert_eq!(alice.called(&second, "noargs").text(), "noargs ok");
    // A slot is free as soon as its session is deleted or fails to be created.
    alice.delete(&first);
    for _ in 0..3 {
        let nothing = json!({"env_name": "alpha", "split": "train", "index": 99});
        assert_eq!(alice.post(&first, "/create", &nothing).status(), 400);
    }
    assert_eq!(alice.create(&first).status(), 200);
    assert_eq!(alice.create(&fresh_id()).status(), 429);
}

#[test]
fn calls_in_flight_per_key_are_limited() {
    let KeyedServer { alice, bob, .. } = &KeyedServer::start(&[("--max-calls-per-key", "2")]);
    let (one, other) = (alice.open(), alice.open());
    let sleep = || json!({"ms": 10_000});
    let mut first = alice.start(&one, "sleep", sleep());
    let task_id = first.task_id();
    let mut second = alice.start(&other, "sleep", sleep());
    second.task_id();
    for id in [&one, &other] {
        let refused = alice.ors.fetch(&alice.call(id, "bump", json!({})));
        too_many(&refused, "as many calls in flight", 2);
    }
    // Resuming a run does not count as a call, nor does an unknown tool.
    let again = json!({"name": "sleep", "input": {}, "task_id": task_id});
    let again = alice.with(&one, HttpRequest::post("/alpha/call").json(&again));
    let mut again = EventStream::open(alice.ors.client(), &again);
    assert_eq!(again.task_id(), task_id);
    assert_eq!(alice.called(&one, "nosuch").names(), ["task_id", "end"]);
    assert_eq!(alice.post(&one, "/ping", &json!({})).status(), 200);
    assert_eq!(bob.called(&bob.open(), "noargs").text(), "noargs ok");
    // A response frees its slot.
    assert!(first.finish().text().contains("\"end\": 2"));
    assert_eq!(alice.called(&one, "bump").text(), "1", "a refused call ran");
    second.finish();
}

#[test]
fn flags_for_keys_are_refused_without_keys() {
    for flag in [
        "--auth-failure-rate",
        "--max-sessions-per-key",
        "--max-calls-per-key",
    ] {
        let refused = ServeCommand::fixtures(&["alpha"])
            .set(flag, "2")
            .command()
            .run();
        refused.expect_failure(&["--api-keys"]);
    }
}

#[test]
fn pings_do_not_wait_for_a_running_call() {
    const CALL: Duration = Duration::from_secs(25);
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let begin = Instant::now();
    let mut stream = session.start("sleep", json!({"ms": CALL.as_millis() as u64}));
    stream.task_id();
    let mut connection = ors.client().connect();
    let ping = HttpRequest::post("/ping").header(SESSION_HEADER, session.id());
    for _ in 0..2000 {
        assert_eq!(connection.fetch(&ping).unwrap().status(), 200);
    }
    assert!(begin.elapsed() < CALL, "the pings waited for the call");
}

#[test]
fn an_oversized_request_is_refused_and_not_processed() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--body-limit", "4KiB")
        .start();
    let ors = server.ors();
    let mebibyte = "x".repeat(1 << 20);
    let post = "POST /create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let chunked = format!("{post}X-Session-ID: SID\r\nTransfer-Encoding: chunked\r\n\r\n");
    let task = r#"{"task_spec":{}}"#;
    for (what, bytes) in [
        (
            "a header",
            format!("{post}X: {mebibyte}\r\nX-Session-ID: SID\r\nContent-Length: 16\r\n\r\n{task}"),
        ),
        (
            "a name",
            format!("{post}{mebibyte}: x\r\nX-Session-ID: SID\r\nContent-Length: 16\r\n\r\n{task}"),
        ),
        (
            "many headers",
            format!(
                "{post}{}X-Session-ID: SID\r\nContent-Length: 16\r\n\r\n{task}",
                "a:b\r\n".repeat(100_000)
            ),
        ),
        (
            "small headers",
            format!(
                "{post}{}X-Session-ID: SID\r\nContent-Length: 16\r\n\r\n{task}",
                "a:b\r\n".repeat(120)
            ),
        ),
        (
            "a target",
            format!("POST /{mebibyte} HTTP/1.1\r\nHost: localhost\r\nX-Session-ID: SID\r\n\r\n"),
        ),
        (
            "a session id",
            format!("{post}X-Session-ID: SID{mebibyte}\r\nContent-Length: 16\r\n\r\n{task}"),
        ),
        (
            "a length",
            format!("{post}X-Session-ID: SID\r\nContent-Length: 1099511627776\r\n\r\n{task}"),
        ),
        (
            "chunks without end",
            format!(
                "{chunked}{}",
                "400\r\n".to_owned() + &format!("{}\r\n400\r\n", " ".repeat(1024)).repeat(1024)
            ),
        ),
        (
            "a chunk",
            format!("{chunked}100000\r\n{mebibyte}\r\n0\r\n\r\n"),
        ),
        (
            "an extension",
            format!("{chunked}10;{mebibyte}\r\n{task}\r\n0\r\n\r\n"),
        ),
        (
            "trailers",
            format!("{chunked}10\r\n{task}\r\n0\r\nX: {mebibyte}\r\n\r\n"),
        ),
        (
            "many trailers",
            format!(
                "{chunked}10\r\n{task}\r\n0\r\n{}\r\n",
                "a:b\r\n".repeat(100_000)
            ),
        ),
    ] {
        let id = fresh_id();
        let mut connection = ors.client().connect();
        connection.set_read_timeout(TIMEOUT).unwrap();
        // The server may have responded and closed by now.
        let _ = connection.send_raw(bytes.replace("SID", &id).as_bytes());
        if let Ok(head) = connection.read_head() {
            assert!((400..500).contains(&head.status), "{what}: {head:?}");
        }
        assert_eq!(
            ors.post_empty(&id, "/ping").status(),
            404,
            "{what} was processed"
        );
    }
    // A body that is shorter than its length, then a disconnect.
    let id = fresh_id();
    let short = format!("{post}X-Session-ID: {id}\r\nContent-Length: 17\r\n\r\n{task}");
    let mut connection = ors.client().connect();
    connection.send_raw(short.as_bytes()).unwrap();
    drop(connection);
    assert_eq!(ors.get("/health").status(), 200);
    assert_eq!(ors.post_empty(&id, "/ping").status(), 404);
}

#[test]
fn real_calls_and_groups_fit_the_default_limits() {
    let server = ServeCommand::fixtures(&["alpha", "chat"]).start();
    let ors = server.ors();
    // Clients escape letters that are not ASCII: six bytes for each.
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let escaped = "\\u00e9".repeat(400_000);
    let call = HttpRequest::post("/alpha/call")
        .header(SESSION_HEADER, session.id())
        .json_text(format!(
            r#"{{"name":"echo","input":{{"text":"{escaped}"}}}}"#
        ));
    assert_eq!(ors.transcript(&call).text(), "é".repeat(400_000));
    // Sixteen conversations of 70 kB.
    let session = ors.open("chat", TaskSelector::At("train", 0));
    let text = "x".repeat(70_000);
    let block = json!({"type": "text", "text": text});
    let candidate = json!({"messages": [{"role": "assistant", "blocks": [block]}]});
    let scored = session.score(Value::Array(vec![candidate; 16]));
    assert_eq!(scored.names().last(), Some(&"end"), "{:?}", scored.names());
}

#[test]
fn other_protocols_are_refused() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    // The HTTP/2 preface with its first frame, and a TLS ClientHello.
    let frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let hello = b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03\r\n\r\n".as_slice();
    for bytes in [frame, hello] {
        let answer = ors.client().send_raw_and_read(bytes);
        let message = String::from_utf8_lossy(&answer);
        assert!(
            message.is_empty() || message.starts_with("HTTP/1.1 4"),
            "{message}"
        );
    }
    for upgrade in ["h2c", "websocket"] {
        let request = HttpRequest::get("/health")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", upgrade)
            .header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
        let answer = ors.fetch(&request);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("upgrade"), None);
    }
}

#[test]
fn a_client_that_disconnects_runs_each_call_once() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let mut known = Vec::new();
    for n in 0..50 {
        // Each input differs: an identical call would count as a retry.
        let call = json!({"name": "bump", "input": {"by": 1, "n": n}});
        let call = session.post_request("call", &call);
        let mut connection = ors.client().connect();
        connection.send(&call).unwrap();
        if n % 3 > 0 && connection.read_head().is_ok() && n % 3 > 1 {
            let first = connection.read_piece().unwrap().expect("the run's id");
            let first = String::from_utf8(first).unwrap();
            known.push(first["event: task_id\r\ndata: ".len()..][..32].to_owned());
        }
        // The connection is dropped at some point of the response.
    }
    let mut counts: Vec<usize> = known
        .iter()
        .map(|id| session.resume(id).text().parse().unwrap())
        .collect();
    counts.sort_unstable();
    counts.dedup();
    assert_eq!(
        counts.len(),
        known.len(),
        "two runs share a result: {counts:?}"
    );
    let last: usize = session.call("bump", json!({})).text().parse().unwrap();
    assert!((known.len() + 1..=51).contains(&last), "{last} executions");
    assert!(counts.iter().all(|count| *count < last));
}
