//! API keys, hosts and origins, and the per-address connection limit.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Reply, Server, config, read_all};
use super::detail;
use crate::{AllowedHosts, ApiKeys, PerAddressLimit, ServerConfig};

/// A server with API keys, and the keys of two clients.
struct ServerWithKeys {
    server: Server,
    alice: String,
    bob: String,
    file: PathBuf,
}

impl ServerWithKeys {
    async fn start() -> ServerWithKeys {
        ServerWithKeys::start_with(config()).await
    }

    async fn start_with(config: ServerConfig) -> ServerWithKeys {
        let name = format!("orwd-auth-{:016x}", rand::random::<u64>());
        let file = std::env::temp_dir().join(name);
        let alice = ApiKeys::add(&file, "alice", None).unwrap();
        let bob = ApiKeys::add(&file, "bob", None).unwrap();
        let keys = Some(ApiKeys::open(&file).unwrap());
        let server = Server::start(ServerConfig { keys, ..config }).await;
        ServerWithKeys {
            server,
            alice,
            bob,
            file,
        }
    }

    /// Sends a POST with a key, for a session.
    async fn post(&self, key: &str, path: &str, session: &str, body: &str) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nx-api-key: {key}\r\nx-request-id: same\r\n\
             x-session-id: {session}\r\ncontent-type: application/json"
        );
        self.server.send(&head, body).await
    }
}

impl Drop for ServerWithKeys {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[tokio::test]
async fn only_monitoring_needs_no_key() {
    let setup = ServerWithKeys::start().await;
    for path in ["/health", "/ready"] {
        assert_eq!(setup.server.get(path).await.status, 200);
    }
    let wrong = format!("orwd_{:016x}_{}", 1, "0".repeat(64));
    for key in ["", "none", &wrong, &setup.alice[..setup.alice.len() - 1]] {
        for path in [
            "/version",
            "/list_environments",
            "/health/",
            "/ready/",
            "/healthy",
            "/alpha/tools",
            "/nosuch/nosuch",
            "/tools",
        ] {
            let head = format!("GET {path} HTTP/1.1\r\nx-api-key: {key}");
            let reply = setup.server.send(&head, "").await;
            assert_eq!(reply.status, 401, "{path}");
            assert_eq!(reply.body, "{\"detail\":\"Invalid API key\"}");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
        for path in ["/create", "/create_session", "/ping", "/alpha/call"] {
            let reply = setup.post(key, path, "s", "{\"task_spec\":{}}").await;
            assert_eq!(reply.status, 401, "{path}");
        }
    }
    let head = format!(
        "GET /version HTTP/1.1\r\nauthorization: Bearer {}",
        setup.bob
    );
    assert_eq!(setup.server.send(&head, "").await.status, 200);
}

#[tokio::test]
async fn the_session_of_another_key_does_not_exist() {
    let setup = ServerWithKeys::start().await;
    let body = "{\"task_spec\":{}}";
    assert_eq!(
        setup.post(&setup.alice, "/create", "s", body).await.status,
        200
    );
    let call = "{\"name\":\"echo\",\"input\":{}}";
    let ran = setup.post(&setup.alice, "/alpha/call", "s", call).await;
    let task = ran.body.split("data: ").nth(1).unwrap();
    let task = task.lines().next().unwrap().trim();
    let again = format!("{{\"name\":\"echo\",\"input\":{{}},\"task_id\":\"{task}\"}}");
    assert!(
        setup
            .post(&setup.alice, "/alpha/call", "s", &again)
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
        let mut foreign = setup.post(&setup.bob, path, "s", body).await;
        let mut unknown = setup.post(&setup.bob, path, "t", body).await;
        for reply in [&mut foreign, &mut unknown] {
            // The only header that depends on the time.
            assert!(reply.headers.remove("date").is_some());
            assert_eq!(reply.status, 404, "{path}");
        }
        assert_eq!(foreign.headers, unknown.headers, "{path}");
        assert_eq!(foreign.body, unknown.body, "{path}");
    }
    // The same id with another key is another session.
    let other = "{\"env_name\":\"chat\",\"task_spec\":{}}";
    assert_eq!(
        setup.post(&setup.bob, "/create", "s", other).await.status,
        200
    );
    let reply = setup.post(&setup.bob, "/alpha/call", "s", &again).await;
    assert!(reply.body.contains("unknown task_id"), "{}", reply.body);
    assert_eq!(setup.post(&setup.bob, "/delete", "s", "").await.status, 200);
    assert_eq!(setup.post(&setup.bob, "/ping", "s", "").await.status, 404);
    assert_eq!(setup.post(&setup.alice, "/ping", "s", "").await.status, 200);
}

#[tokio::test]
async fn a_foreign_host_or_origin_gets_an_explanation() {
    let server = Server::start(ServerConfig {
        hosts: AllowedHosts::Loopback { also: Vec::new() },
        ..config()
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
async fn limits_connections_per_address() {
    let server = Server::start(ServerConfig {
        per_address: PerAddressLimit {
            connections: 2,
            count_loopback: true,
            share_loopback: false,
        },
        ..config()
    })
    .await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let mut third = server.connect().await;
    let reply = Reply::parse(&read_all(&mut third).await);
    assert_eq!((reply.status, reply.complete), (503, true));
    let message = detail(&reply);
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("this address: 2 are allowed")
    );
    assert_eq!(reply.headers["x-backend-state"], "starting");
    drop(first);
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let mut retry = server.connect().await;
        let _ = retry
            .write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
            .await;
        let mut buffer = [0; 1024];
        let read = retry.read(&mut buffer).await.unwrap_or_default();
        if buffer[..read].starts_with(b"HTTP/1.1 200 OK") {
            return;
        }
    }
    panic!("a closed connection does not release its permit");
}

#[tokio::test]
async fn connections_with_a_key_are_limited_by_key() {
    let setup = ServerWithKeys::start_with(ServerConfig {
        per_address: PerAddressLimit {
            connections: 2,
            count_loopback: true,
            share_loopback: false,
        },
        connections_per_key: 5,
        idle_timeout: std::time::Duration::from_secs(20),
        ..config()
    })
    .await;
    let mut open = Vec::new();
    let mut ask = async |key: &str| {
        let mut stream = setup.server.connect().await;
        let request = format!("GET /version HTTP/1.1\r\nhost: test\r\nx-api-key: {key}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 64 * 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        open.push(stream);
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    for n in 0..5 {
        let reply = ask(&setup.alice).await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{n}: {reply}");
    }
    let refused = ask(&setup.alice).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for part in [
        "x-backend-state: starting",
        "retry-after: 2",
        "connection: close",
    ] {
        assert!(refused.contains(part), "no {part} in {refused}");
    }
    // Another key has connections of its own.
    assert!(ask(&setup.bob).await.starts_with("HTTP/1.1 200"));
    // Those without a key share the few of their address.
    for _ in 0..2 {
        assert!(ask("none").await.starts_with("HTTP/1.1 401"));
    }
    assert!(ask("none").await.contains("this address: 2 are allowed"));
}
