//! What the access log contains, and what it never contains.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::client::{Server, config};
use super::open;

/// Collects the log of this thread, on which the server runs, too.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

impl Log {
    fn start() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Returns the lines that contain this part.
    fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    }
}

#[tokio::test]
async fn one_line_per_request_without_secrets() {
    let (log, _guard) = Log::start();
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    // {"K":{"value":"hunter2"}}
    let secrets = "x-secrets: eyJLIjp7InZhbHVlIjoiaHVudGVyMiJ9fQ==\r\nx-api-key: hunter2\r\n\
                   authorization: Bearer hunter2\r\nx-request-id: r1\r\nx-session-id: t";
    let head = format!("POST /create HTTP/1.1\r\n{secrets}\r\ncontent-type: application/json");
    let reply = server.send(&head, r#"{"task_spec":{}}"#).await;
    assert_eq!(reply.status, 200);
    let [line] = &log.lines("request=\"r1\"")[..] else {
        panic!("no line, or more than one");
    };
    for part in [
        " INFO ",
        "address=127.0.0.1",
        "method=POST",
        "path=/create",
        "status=200",
        "ms=",
        "session=t",
        "environment=\"alpha\"",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    assert!(!line.contains("incomplete"), "{line}");
    assert!(log.lines("hunter2").is_empty());
    assert!(log.lines("eyJL").is_empty());

    server.post("/ping", "").await;
    server.get("/health").await;
    assert_eq!(log.lines("path=/ping").len(), 1);
    for line in log
        .lines("path=/ping")
        .iter()
        .chain(&log.lines("path=/health"))
    {
        assert!(line.contains("DEBUG"), "{line}");
    }
}

#[tokio::test]
async fn the_line_of_a_call_has_its_tool_and_outcome() {
    let (log, _guard) = Log::start();
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let long = "x".repeat(5000);
    for (id, tool, expected) in [
        ("c1", "win", " tool=win outcome=\"output\" reward=0.5"),
        ("c2", "echo", " tool=echo outcome=\"output\""),
        ("c3", "fail", " tool=fail outcome=\"failed\""),
        (
            "c4",
            "broken",
            " tool=broken outcome=\"faulted\" fault=\"internal\"",
        ),
        ("c5", "a\u{9b}31m", " tool=a\\u{9b}31m outcome=\"output\""),
        ("c6", &long, "xxx… outcome=\"output\""),
    ] {
        let head = format!(
            "POST /alpha/call HTTP/1.1\r\ncontent-type: application/json\r\nx-request-id: {id}\r\n\
             x-session-id: s"
        );
        let body = serde_json::json!({"name": tool, "input": {"n": 1}});
        server.send(&head, &body.to_string()).await;
        let [line] = &log.lines(&format!("request=\"{id}\""))[..] else {
            panic!("no line, or more than one");
        };
        assert!(line.contains(expected), "no {expected} in {line}");
        assert_eq!(line.contains("reward="), tool == "win", "{line}");
        assert_eq!(line.contains("fault="), tool == "broken", "{line}");
        // The output is the input of `echo`.
        assert!(!line.contains("\"n\"") && line.len() < 700, "{line}");
    }
    // Other requests have none of it.
    server.get("/alpha/tools").await;
    let line = &log.lines("path=/alpha/tools")[0];
    assert!(
        !line.contains("tool=") && !line.contains("outcome="),
        "{line}"
    );
}

#[tokio::test]
async fn refused_requests_have_a_line_with_the_address() {
    let (log, _guard) = Log::start();
    let file = std::env::temp_dir().join(format!("orwd-log-{:016x}", rand::random::<u64>()));
    crate::ApiKeys::add(&file, "alice", None).unwrap();
    let keys = Some(crate::ApiKeys::open(&file).unwrap());
    let server = Server::start(crate::ServerConfig { keys, ..config() }).await;
    let head = "GET /alpha/tools HTTP/1.1\r\nx-api-key: wrong\r\nx-request-id: r7";
    assert_eq!(server.send(head, "").await.status, 401);
    let [line] = &log.lines("r7")[..] else {
        panic!("no line, or more than one");
    };
    for part in [
        " INFO ",
        "status=401",
        "address=127.0.0.1",
        "path=/alpha/tools",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    // What is no HTTP has a line, and a flood of it does not fill the log.
    for _ in 0..20 {
        server.exchange("no HTTP at all\r\n\r\n").await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let unreadable = log.lines("request unreadable");
    assert_eq!(unreadable.len(), 10, "{unreadable:?}");
    assert!(unreadable[0].contains("address=127.0.0.1"));
    let _ = std::fs::remove_file(&file);
}

#[tokio::test]
async fn untrusted_text_stays_on_one_line() {
    let (log, _guard) = Log::start();
    let server = Server::start(config()).await;
    let head = "POST /alpha/tasks HTTP/1.1\r\ncontent-type: application/json\r\n\
                x-request-id: r2\r\nx-session-id: a\u{9b}31m";
    let reply = server.send(head, r#"{"split":"boom"}"#).await;
    assert_eq!(reply.status, 500);
    let lines = log.lines("r2");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(" WARN "), "{lines:?}");
    // A guest's error text is not logged.
    assert!(
        lines[0].contains("detail=the environment failed") && !lines[0].contains("boom"),
        "{lines:?}"
    );

    let head = format!(
        "POST /delete HTTP/1.1\r\nx-request-id: r3\r\nx-session-id: {}\u{9b}31m",
        "x".repeat(150)
    );
    server.send(&head, "").await;
    let line = &log.lines("r3")[0];
    assert!(
        !line.contains('\u{9b}') && line.contains("\\u{9b}31m"),
        "{line}"
    );
    let head = format!(
        "POST /delete HTTP/1.1\r\nx-request-id: r4\r\nx-session-id: {}",
        "x".repeat(5000)
    );
    server.send(&head, "").await;
    assert!(log.lines("r4")[0].len() < 600);
}

#[tokio::test]
async fn logs_an_aborted_stream() {
    let (log, _guard) = Log::start();
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    server
        .post("/alpha/call", r#"{"name":"broken","input":{}}"#)
        .await;
    let [line] = &log.lines("path=/alpha/call")[..] else {
        panic!("no line, or more than one");
    };
    for part in [" WARN ", "internal: no reason", "incomplete=true"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
}

#[tokio::test]
async fn logs_a_panic_and_keeps_serving() {
    let (log, _guard) = Log::start();
    let server = Server::start(config()).await;
    let head = "POST /alpha/tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\
                content-length: 17\r\n\r\n{\"split\":\"panic\"}";
    assert_eq!(server.exchange(head).await, "");
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(log.lines("connection task panicked").len(), 1);
    let [line] = &log.lines("path=/alpha/tasks")[..] else {
        panic!("no line, or more than one");
    };
    assert!(!line.contains("status="), "there was no response: {line}");
    assert!(line.contains("incomplete=true"), "{line}");
}
