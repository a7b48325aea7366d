//! A server for a test, and a client that sees every byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::memory_service::MemoryService;
use crate::{AllowedHosts, PerAddressLimit, ServerConfig, serve};

/// Returns a configuration with short timeouts.
pub(super) fn config() -> ServerConfig {
    ServerConfig {
        body_limit: 64 * 1024,
        group_body_limit: 128 * 1024,
        request_memory: 64 << 20,
        response_memory: 256 << 20,
        header_limit: 8 * 1024,
        header_timeout: Duration::from_millis(400),
        body_timeout: Duration::from_millis(600),
        body_rate: 1024,
        write_timeout: Duration::from_millis(600),
        response_rate: 4096,
        idle_timeout: Duration::from_millis(1500),
        max_connections: 100,
        per_address: PerAddressLimit {
            connections: 100,
            count_loopback: true,
            share_loopback: false,
        },
        connections_per_key: 100,
        tls: None,
        hosts: AllowedHosts::Any,
        keys: None,
        proxy: None,
        auth_failure_rate: 60,
        metrics: crate::HttpMetrics::default(),
        create_rate: 1000,
    }
}

/// A server that runs until it is stopped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(super) async fn start(config: ServerConfig) -> Server {
        Server::start_with_grace(config, Duration::from_secs(5)).await
    }

    pub(super) async fn start_with_grace(config: ServerConfig, grace: Duration) -> Server {
        Server::start_service(MemoryService::new(), config, grace).await
    }

    pub(super) async fn start_with(service: MemoryService, config: ServerConfig) -> Server {
        Server::start_service(service, config, Duration::from_secs(5)).await
    }

    async fn start_service(
        service: MemoryService,
        config: ServerConfig,
        grace: Duration,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let done = tokio::spawn(serve(listener, service, config, stopped, grace));
        Server {
            address,
            stop,
            done,
        }
    }

    /// Begins the shutdown and returns the task of the server.
    pub(super) fn stop(self) -> JoinHandle<std::io::Result<()>> {
        let _ = self.stop.send(());
        self.done
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(super) async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    /// Sends one request on its own connection and parses the response.
    pub(super) async fn send(&self, head: &str, body: &str) -> Reply {
        let length = body.len();
        let head = head.trim_end();
        let request = format!(
            "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Reply::parse(&self.exchange(&request).await)
    }

    /// Sends a JSON body to a path, for the session `s`.
    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        let head =
            format!("POST {path} HTTP/1.1\r\nx-session-id: s\r\ncontent-type: application/json");
        self.send(&head, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nx-session-id: s"), "")
            .await
    }
}

/// Reads until the other side closes the connection, for at most ten seconds.
pub(super) async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    if let Err(error) = read.expect("the server neither responds nor closes") {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(bytes).unwrap()
}

/// A parsed response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
    /// Whether the body is complete.
    pub(super) complete: bool,
}

impl Reply {
    pub(super) fn parse(wire: &str) -> Reply {
        let (head, rest) = wire.split_once("\r\n\r\n").expect(wire);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: HashMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (body, complete) = if headers.contains_key("transfer-encoding") {
            unchunked(rest)
        } else {
            let length = headers.get("content-length").map(|n| n.parse().unwrap());
            (rest.to_owned(), length == Some(rest.len()))
        };
        Reply {
            status,
            headers,
            body,
            complete,
        }
    }
}

fn unchunked(mut wire: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, rest)) = wire.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(..size) else {
            return (body, false);
        };
        body.push_str(chunk);
        wire = &rest[size + 2..];
        if size == 0 {
            return (body, wire.is_empty());
        }
    }
    (body, false)
}
