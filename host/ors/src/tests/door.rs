//! Whom the server lets in: hosts, keys, and how many from one address.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Front, Hosts, Keys, PerAddress};
use super::client::{Reply, Server, front, read_all};
use super::detail;

/// A server that asks for keys, and the keys of two.
struct Keyed {
    server: Server,
    alice: String,
    bob: String,
    file: PathBuf,
}

impl Keyed {
    async fn start() -> Keyed {
        let name = format!("orwd-door-{:016x}", rand::random::<u64>());
        let file = std::env::temp_dir().join(name);
        let alice = Keys::add(&file, "alice").unwrap();
        let bob = Keys::add(&file, "bob").unwrap();
        let keys = Some(Keys::open(&file).unwrap());
        let server = Server::start(Front { keys, ..front() }).await;
        Keyed {
            server,
            alice,
            bob,
            file,
        }
    }

    /// A POST with a key, for a session.
    async fn post(&self, key: &str, path: &str, session: &str, body: &str) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nx-api-key: {key}\r\nx-request-id: same\r\n\
             x-session-id: {session}\r\ncontent-type: application/json"
        );
        self.server.send(&head, body).await
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[tokio::test]
async fn without_a_key_there_is_nothing_but_health() {
    let keyed = Keyed::start().await;
    assert_eq!(keyed.server.get("/health").await.status, 200);
    let wrong = format!("orwd_{:016x}_{}", 1, "0".repeat(64));
    for key in ["", "none", &wrong, &keyed.alice[..keyed.alice.len() - 1]] {
        for path in [
            "/version",
            "/list_environments",
            "/health/",
            "/healthy",
            "/alpha/tools",
            "/nosuch/nosuch",
            "/tools",
        ] {
            let head = format!("GET {path} HTTP/1.1\r\nx-api-key: {key}");
            let reply = keyed.server.send(&head, "").await;
            assert_eq!(reply.status, 401, "{path}");
            assert_eq!(reply.body, "{\"detail\":\"Invalid API key\"}");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
        for path in ["/create", "/create_session", "/ping", "/alpha/call"] {
            let reply = keyed.post(key, path, "s", "{\"task_spec\":{}}").await;
            assert_eq!(reply.status, 401, "{path}");
        }
    }
    let head = format!(
        "GET /version HTTP/1.1\r\nauthorization: Bearer {}",
        keyed.bob
    );
    assert_eq!(keyed.server.send(&head, "").await.status, 200);
}

#[tokio::test]
async fn a_foreign_session_is_like_none() {
    let keyed = Keyed::start().await;
    let body = "{\"task_spec\":{}}";
    assert_eq!(
        keyed.post(&keyed.alice, "/create", "s", body).await.status,
        200
    );
    let call = "{\"name\":\"echo\",\"input\":{}}";
    let ran = keyed.post(&keyed.alice, "/alpha/call", "s", call).await;
    let task = ran.body.split("data: ").nth(1).unwrap();
    let task = task.lines().next().unwrap().trim();
    let again = format!("{{\"name\":\"echo\",\"input\":{{}},\"task_id\":\"{task}\"}}");
    assert!(
        keyed
            .post(&keyed.alice, "/alpha/call", "s", &again)
            .await
            .body
            .contains("event: end")
    );
    for (path, body) in [
        ("/ping", ""),
        ("/alpha/call", call),
        ("/alpha/call", &*again),
        ("/chat/score_group", "{\"candidates\":[]}"),
    ] {
        let mut foreign = keyed.post(&keyed.bob, path, "s", body).await;
        let mut unknown = keyed.post(&keyed.bob, path, "t", body).await;
        for reply in [&mut foreign, &mut unknown] {
            // The one header that tells the time.
            assert!(reply.headers.remove("date").is_some());
            assert_eq!(reply.status, 404, "{path}");
        }
        assert_eq!(foreign.headers, unknown.headers, "{path}");
        assert_eq!(foreign.body, unknown.body, "{path}");
    }
    // What the other does under the same id is another session.
    let other = "{\"env_name\":\"chat\",\"task_spec\":{}}";
    assert_eq!(
        keyed.post(&keyed.bob, "/create", "s", other).await.status,
        200
    );
    let told = keyed.post(&keyed.bob, "/alpha/call", "s", &again).await;
    assert!(told.body.contains("unknown task_id"), "{}", told.body);
    assert_eq!(keyed.post(&keyed.bob, "/delete", "s", "").await.status, 200);
    assert_eq!(keyed.post(&keyed.bob, "/ping", "s", "").await.status, 404);
    assert_eq!(keyed.post(&keyed.alice, "/ping", "s", "").await.status, 200);
}

#[tokio::test]
async fn a_web_page_is_told_why_it_is_refused() {
    let server = Server::start(Front {
        hosts: Hosts::Loopback { also: Vec::new() },
        ..front()
    })
    .await;
    let host = server.address.to_string();
    for (headers, status, part) in [
        (format!("host: {host}"), 200, ""),
        ("host: localhost:8080".to_owned(), 200, ""),
        ("host: ors.test".to_owned(), 200, ""),
        (
            "host: evil.example".to_owned(),
            403,
            "the Host 'evil.example'",
        ),
        (
            "host: ors.test\r\nsec-fetch-site: same-origin".to_owned(),
            403,
            "--allow-host",
        ),
        (
            format!("host: {host}\r\norigin: http://evil.example"),
            403,
            "the Origin 'http://evil.example'",
        ),
        (
            format!("host: {host}\r\norigin: null"),
            403,
            "the Origin 'null'",
        ),
        (
            format!("host: {host}\r\norigin: http://localhost:3000"),
            200,
            "",
        ),
    ] {
        for path in ["/health", "/list_environments"] {
            let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n\r\n");
            let reply = Reply::parse(&server.exchange(&request).await);
            assert_eq!(reply.status, status, "{headers}");
            if status == 403 {
                let detail = detail(&reply).to_string();
                assert!(detail.contains(part), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let server = Server::start(Front {
        per_address: PerAddress::Any(2),
        ..front()
    })
    .await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let mut third = server.connect().await;
    let reply = Reply::parse(&read_all(&mut third).await);
    assert_eq!((reply.status, reply.complete), (503, true));
    assert!(detail(&reply).as_str().unwrap().contains("this address"));
    drop(first);
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let mut again = server.connect().await;
        let _ = again
            .write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
            .await;
        let mut buffer = [0; 1024];
        let read = again.read(&mut buffer).await.unwrap_or_default();
        if buffer[..read].starts_with(b"HTTP/1.1 200 OK") {
            return;
        }
    }
    panic!("the place of a connection that ended is never free");
}
