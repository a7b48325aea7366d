//! Clients that do too much of something: they are told so in the form of the
//! contract, with a time to come back, and others do not notice.

use std::time::{Duration, Instant};

use orwd_tests::command::Orwd;
use orwd_tests::expect::detail;
use orwd_tests::http::{Request, Response};
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Ors, SESSION_HEADER, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use orwd_tests::stream::{Stream, Transcript};
use serde_json::{Value, json};

use crate::SOON;

/// A server that asks for keys, and two who have one.
struct Keyed {
    server: Server,
    alice: Client,
    bob: Client,
    /// The file of keys is read for as long as the server runs.
    _scratch: Scratch,
}

/// Somebody with a key.
struct Client {
    ors: Ors,
    key: String,
}

impl Keyed {
    fn start(flags: &[(&str, &str)]) -> Keyed {
        let scratch = Scratch::new();
        let file = scratch.at("keys.toml");
        let [alice, bob] = ["alice", "bob"].map(|name| {
            let made = Orwd::new(["keys", "new", name, "--api-keys", &file]).run();
            made.succeeds().trim_end().to_owned()
        });
        let mut serve = Serve::fixtures(&["alpha"]).set("--api-keys", &file);
        for (flag, value) in flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start();
        let client = |key| Client {
            ors: server.ors(),
            key,
        };
        let (alice, bob) = (client(alice), client(bob));
        Keyed {
            server,
            alice,
            bob,
            _scratch: scratch,
        }
    }
}

impl Client {
    fn with(&self, id: &str, request: Request) -> Request {
        request
            .header("X-API-Key", &self.key)
            .header(SESSION_HEADER, id)
    }

    fn post(&self, id: &str, path: &str, body: &Value) -> Response {
        self.ors.ask(&self.with(id, Request::post(path).json(body)))
    }

    fn create(&self, id: &str) -> Response {
        self.post(id, "/create", &Task::Spec(json!({})).body("alpha"))
    }

    /// Opens a session that must be had.
    fn open(&self) -> String {
        let id = fresh_id();
        let answer = self.create(&id);
        assert_eq!(answer.status(), 200, "{answer:?}");
        id
    }

    fn delete(&self, id: &str) {
        assert_eq!(self.post(id, "/delete", &json!({})).status(), 200);
    }

    fn call(&self, id: &str, tool: &str, input: Value) -> Request {
        let body = json!({"name": tool, "input": input});
        self.with(id, Request::post("/alpha/call").json(&body))
    }

    fn start(&self, id: &str, tool: &str, input: Value) -> Stream {
        Stream::open(self.ors.client(), &self.call(id, tool, input))
    }

    fn called(&self, id: &str, tool: &str) -> Transcript {
        self.ors.transcript(&self.call(id, tool, json!({})))
    }
}

/// The client is told to come back, after no more than these seconds.
#[track_caller]
fn too_many(answer: &Response, part: &str, most: u64) {
    let told = detail(answer, 429);
    assert!(told.contains(part), "{told}");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most).contains(&seconds), "{seconds}");
}

/// Asks until it is told to come back, and gives that answer.
fn until_refused(mut ask: impl FnMut() -> Response) -> Response {
    for _ in 0..200 {
        let answer = ask();
        if answer.status() == 429 {
            return answer;
        }
    }
    panic!("never too many");
}

#[test]
fn wrong_keys_are_held_up_and_right_ones_never() {
    let Keyed { server, alice, .. } = &Keyed::start(&[("--wrong-keys", "5")]);
    let ask = |key: &str| {
        let request = Request::get("/list_environments").header("X-API-Key", key);
        server.ors().ask(&request)
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
    // A key in an address is none.
    let in_address = format!("/list_environments?api_key={0}&key={0}", alice.key);
    assert_ne!(server.ors().get(&in_address).status(), 200);
    wait_until("the log is told", SOON, || {
        server.log().contains("auth failure rate limit reached")
    });
    let log = server.log();
    assert_eq!(
        log.matches("auth failure rate limit reached").count(),
        1,
        "{log}"
    );
    // But for a few that came when there was a token again.
    assert!(log.matches("status=4").count() < 30, "{log}");
    assert!(!log.contains(&alice.key), "{log}");
}

#[test]
fn sessions_are_created_at_a_rate() {
    let Keyed { alice, bob, .. } = &Keyed::start(&[("--create-rate", "1")]);
    let opened: Vec<String> = (0..10).map(|_| alice.open()).collect();
    too_many(&until_refused(|| alice.create(&fresh_id())), "too fast", 1);
    // The id of a refused creation is free, and sessions that are there work.
    let id = fresh_id();
    let refused = until_refused(|| {
        alice.delete(&id);
        alice.create(&id)
    });
    too_many(&refused, "too fast", 1);
    assert_eq!(alice.called(&opened[0], "noargs").text(), "noargs ok");
    bob.open();
    wait_until("there is a token again", SOON, || {
        alice.create(&id).status() == 200
    });
}

#[test]
fn an_address_creates_sessions_at_a_rate_where_there_are_no_keys() {
    let server = Serve::fixtures(&["alpha"])
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
fn a_key_holds_so_many_sessions() {
    let Keyed { alice, bob, .. } = &Keyed::start(&[("--max-sessions-per-key", "2")]);
    let (first, second) = (alice.open(), alice.open());
    let refused = alice.create(&fresh_id());
    too_many(&refused, "as many sessions as it may", 2);
    assert_eq!(alice.create(&first).status(), 400, "it exists");
    bob.open();
    assert_eq!(alice.called(&second, "noargs").text(), "noargs ok");
    // What is free again is free at once, and so is what came to nothing.
    alice.delete(&first);
    for _ in 0..3 {
        let nothing = json!({"env_name": "alpha", "split": "train", "index": 99});
        assert_eq!(alice.post(&first, "/create", &nothing).status(), 400);
    }
    assert_eq!(alice.create(&first).status(), 200);
    assert_eq!(alice.create(&fresh_id()).status(), 429);
}

#[test]
fn a_key_has_so_many_calls_in_flight() {
    let Keyed { alice, bob, .. } = &Keyed::start(&[("--max-calls-per-key", "2")]);
    let (one, other) = (alice.open(), alice.open());
    let sleep = || json!({"ms": 10_000});
    let mut first = alice.start(&one, "sleep", sleep());
    let task_id = first.task_id();
    let mut second = alice.start(&other, "sleep", sleep());
    second.task_id();
    for id in [&one, &other] {
        let refused = alice.ors.ask(&alice.call(id, "bump", json!({})));
        too_many(&refused, "as many calls in flight", 2);
    }
    // To ask for a result is no call, nor is what is no tool.
    let again = json!({"name": "sleep", "input": {}, "task_id": task_id});
    let again = alice.with(&one, Request::post("/alpha/call").json(&again));
    let mut again = Stream::open(alice.ors.client(), &again);
    assert_eq!(again.task_id(), task_id);
    assert_eq!(alice.called(&one, "nosuch").names(), ["task_id", "end"]);
    assert_eq!(alice.post(&one, "/ping", &json!({})).status(), 200);
    assert_eq!(bob.called(&bob.open(), "noargs").text(), "noargs ok");
    // With an answer goes its place.
    assert!(first.finish().text().contains("\"end\": 2"));
    assert_eq!(alice.called(&one, "bump").text(), "1", "a refused one ran");
    second.finish();
}

#[test]
fn flags_for_keys_are_nothing_without_keys() {
    for flag in [
        "--wrong-keys",
        "--max-sessions-per-key",
        "--max-calls-per-key",
    ] {
        let refused = Serve::fixtures(&["alpha"]).set(flag, "2").command().run();
        refused.refuses(&["--api-keys"]);
    }
}

#[test]
fn pings_do_not_wait_for_what_a_session_does() {
    const CALL: Duration = Duration::from_secs(25);
    let server = Serve::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    let begin = Instant::now();
    let mut stream = session.start("sleep", json!({"ms": CALL.as_millis() as u64}));
    stream.task_id();
    let mut connection = ors.client().connect();
    let ping = Request::post("/ping").header(SESSION_HEADER, session.id());
    for _ in 0..2000 {
        assert_eq!(connection.ask(&ping).unwrap().status(), 200);
    }
    assert!(begin.elapsed() < CALL, "they waited for the call");
}

#[test]
fn what_is_far_too_large_is_refused_and_not_acted_upon() {
    let server = Serve::fixtures(&["alpha"])
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
        connection.set_patience(SOON).unwrap();
        // The server may have answered and closed by now.
        let _ = connection.send_raw(bytes.replace("SID", &id).as_bytes());
        if let Ok(head) = connection.read_head() {
            assert!((400..500).contains(&head.status), "{what}: {head:?}");
        }
        assert_eq!(
            ors.touch(&id, "/ping").status(),
            404,
            "{what} was acted upon"
        );
    }
    // A body that is shorter than it says, and then the end.
    let id = fresh_id();
    let short = format!("{post}X-Session-ID: {id}\r\nContent-Length: 17\r\n\r\n{task}");
    let mut connection = ors.client().connect();
    connection.send_raw(short.as_bytes()).unwrap();
    drop(connection);
    assert_eq!(ors.get("/health").status(), 200);
    assert_eq!(ors.touch(&id, "/ping").status(), 404);
}

#[test]
fn no_other_protocol_is_spoken() {
    let server = Serve::fixtures(&["alpha"]).start();
    let ors = server.ors();
    // The beginning of HTTP/2 with its first frame, and one of TLS.
    let frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let hello = b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03\r\n\r\n".as_slice();
    for bytes in [frame, hello] {
        let answer = ors.client().ask_raw(bytes);
        let told = String::from_utf8_lossy(&answer);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 4"), "{told}");
    }
    for upgrade in ["h2c", "websocket"] {
        let request = Request::get("/health")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", upgrade)
            .header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
        let answer = ors.ask(&request);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("upgrade"), None);
    }
}

#[test]
fn a_client_that_comes_and_goes_runs_each_call_once() {
    let server = Serve::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    let mut known = Vec::new();
    for n in 0..50 {
        // Each another call: the same one again would be taken for a repetition.
        let call = json!({"name": "bump", "input": {"by": 1, "n": n}});
        let call = session.post_request("call", &call);
        let mut connection = ors.client().connect();
        connection.send(&call).unwrap();
        if n % 3 > 0 && connection.read_head().is_ok() && n % 3 > 1 {
            let first = connection.read_piece().unwrap().expect("the run's id");
            let first = String::from_utf8(first).unwrap();
            known.push(first["event: task_id\r\ndata: ".len()..][..32].to_owned());
        }
        // The connection is gone, with more or less of the answer.
    }
    let mut counts: Vec<usize> = known
        .iter()
        .map(|id| session.resume(id).text().parse().unwrap())
        .collect();
    counts.sort_unstable();
    counts.dedup();
    assert_eq!(counts.len(), known.len(), "two runs are one: {counts:?}");
    let last: usize = session.call("bump", json!({})).text().parse().unwrap();
    assert!((known.len() + 1..=51).contains(&last), "{last} executions");
    assert!(counts.iter().all(|count| *count < last));
}
