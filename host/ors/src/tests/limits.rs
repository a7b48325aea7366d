//! Each limit of the server configuration is enforced.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::client::{Reply, Server, config, read_all};
use super::{call, open};
use crate::ServerConfig;

#[tokio::test]
async fn refuses_bodies_that_are_too_large_or_too_slow() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let limit = config().body_limit;
    for (length, status) in [(limit, 422), (limit + 1, 413), (limit * 4, 413)] {
        let reply = server.post("/alpha/call", &" ".repeat(length)).await;
        assert_eq!(reply.status, status, "{length}");
    }
    // Chunked, without a length.
    for (chunks, status) in [(15, 422), (17, 413)] {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(chunks);
        let request = format!(
            "POST /alpha/call HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        );
        let reply = Reply::parse(&server.exchange(&request).await);
        assert_eq!(reply.status, status, "{chunks} chunks");
    }
    // Half of a body.
    let started = Instant::now();
    let head = "POST /alpha/call HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    let reply = Reply::parse(&server.exchange(head).await);
    assert_eq!(reply.status, 408);
    assert_eq!(reply.headers["connection"], "close");
    assert!(started.elapsed() >= config().body_timeout);
    // A client that expects `100 Continue` gets the response at once.
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        limit + 1
    );
    let reply = Reply::parse(&server.exchange(&head).await);
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_body_in_its_own_packet_keeps_the_connection() {
    let server = Server::start(config()).await;
    let mut stream = server.connect().await;
    for path in ["/create_session", "/delete", "/tools", "/alpha/tools"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\ncontent-length: 2\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"{}").await.unwrap();
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        let start = String::from_utf8_lossy(&buffer[..n]).into_owned();
        assert!(start.starts_with("HTTP/1.1 "), "{path}: {start:?}");
        assert!(!start.contains("connection: close"), "{path}: {start}");
        // The end of a stream may arrive separately.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = stream.try_read(&mut buffer);
    }
}

#[tokio::test]
async fn refuses_heads_that_are_too_large_or_too_slow() {
    let server = Server::start(config()).await;
    let long = "x".repeat(config().header_limit);
    let reply = server
        .send(&format!("GET /health HTTP/1.1\r\nlong: {long}"), "")
        .await;
    assert_eq!(reply.status, 431);
    let reply = server
        .send(
            &format!("GET /health HTTP/1.1\r\nlong: {}", &long[..7000]),
            "",
        )
        .await;
    assert_eq!(reply.status, 200);
    // A head that trickles, on a new and on a reused connection.
    for request in ["", "GET /health HTTP/1.1\r\nhost: test\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = Instant::now();
        stream.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
        let mut closed = false;
        while !closed && started.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = stream.write_all(b"a: b\r\n").await;
            let mut buffer = [0; 4096];
            closed = match stream.try_read(&mut buffer) {
                Ok(n) => n == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
        }
        let elapsed = started.elapsed();
        assert!(closed, "the connection stays open");
        assert!(
            elapsed < Duration::from_millis(900),
            "closed after {elapsed:?}"
        );
    }
}

#[tokio::test]
async fn the_idle_timeout_is_longer_than_the_header_timeout() {
    let server = Server::start(config()).await;
    let mut stream = server.connect().await;
    let request = b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        tokio::time::sleep(config().header_timeout * 2).await;
    }
    let started = Instant::now();
    let wire = read_all(&mut stream).await;
    assert_eq!(wire.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(started.elapsed() < config().idle_timeout);
}

#[tokio::test]
async fn disconnects_a_client_that_reads_nothing() {
    // The next client is accepted only after this one is disconnected.
    let server = Server::start(ServerConfig {
        max_connections: 1,
        ..config()
    })
    .await;
    open(&server, "alpha").await;
    let request = call("big", r#"{"n":12000000}"#);
    // A window so small that the kernel cannot buffer the result.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(server.get("/health").await.status, 200);
    let wire = read_all(&mut stream).await;
    assert!(wire.starts_with("HTTP/1.1 200 OK"));
    assert!(!Reply::parse(&wire).complete, "{} bytes", wire.len());
}

#[tokio::test]
async fn limits_connections() {
    let server = Server::start(ServerConfig {
        max_connections: 2,
        ..config()
    })
    .await;
    let first = server.connect().await;
    let _second = server.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = server.connect().await;
    third
        .write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut buffer = [0; 1024];
    assert!(third.try_read(&mut buffer).is_err());
    drop(first);
    let n = third.read(&mut buffer).await.unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn enforces_the_minimum_body_rate() {
    let server = Server::start(ServerConfig {
        body_timeout: Duration::from_secs(60),
        body_rate: 1000,
        ..config()
    })
    .await;
    // Sends a body in pieces; returns the status and when the response arrived.
    let send = async |length: usize, piece: usize| {
        let mut stream = server.connect().await;
        let head = format!(
            "POST /alpha/call HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let started = Instant::now();
        for _ in 0..length / piece {
            tokio::time::sleep(Duration::from_millis(200)).await;
            // The response may arrive before the body is complete.
            let mut byte = [0];
            let peek = stream.peek(&mut byte);
            if tokio::time::timeout(Duration::from_millis(1), peek)
                .await
                .is_ok()
            {
                break;
            }
            stream.write_all(&vec![b' '; piece]).await.unwrap();
        }
        (
            Reply::parse(&read_all(&mut stream).await).status,
            started.elapsed(),
        )
    };
    let (slow, steady) = tokio::join!(send(1000, 1), send(20_000, 500));
    // Five seconds, plus a millisecond per byte.
    assert_eq!(slow.0, 408);
    assert!(slow.1 >= Duration::from_secs(5) && slow.1 < Duration::from_secs(30));
    assert_eq!(steady.0, 422, "after {:?}", steady.1);
    assert!(steady.1 > Duration::from_secs(7));
}

#[tokio::test]
async fn disconnects_a_client_whose_response_stays_in_the_kernel() {
    // The next client is accepted only after this one is disconnected; the idle
    // timeout does not do that.
    let server = Server::start(ServerConfig {
        max_connections: 1,
        idle_timeout: Duration::from_secs(60),
        ..config()
    })
    .await;
    open(&server, "alpha").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let request = call("big", r#"{"n":30000}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(server.get("/health").await.status, 200);
}

#[tokio::test]
async fn disconnects_a_client_that_reads_a_little_now_and_then() {
    // The next client is accepted only after this one is disconnected.
    let server = Server::start(ServerConfig {
        max_connections: 1,
        response_rate: 8 << 20,
        idle_timeout: Duration::from_secs(60),
        ..config()
    })
    .await;
    open(&server, "alpha").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let request = call("big", r#"{"n":12000000}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut read = 0;
        let mut buffer = vec![0; 32 * 1024];
        // Progress within every write timeout.
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return read,
                Ok(n) => read += n,
            }
            tokio::time::sleep(config().write_timeout / 6).await;
        }
    });
    let started = Instant::now();
    assert_eq!(server.get("/health").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(reader.await.unwrap() < 12_000_000);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_its_route_needs() {
    let server = Server::start(ServerConfig {
        body_limit: 4 << 20,
        group_body_limit: 8 << 20,
        body_timeout: Duration::from_secs(10),
        ..config()
    })
    .await;
    open(&server, "chat").await;
    let call = |size| {
        let text = "x".repeat(size);
        format!(r#"{{"name":"echo","input":{{"text":"{text}"}}}}"#)
    };
    let score = |size| {
        let text = "x".repeat(size);
        format!(
            r#"{{"candidates":[{{"messages":[{{"role":"user","blocks":[{{"type":"text","text":"{text}"}}]}}]}}]}}"#
        )
    };
    let split = |size| format!(r#"{{"split":"{}"}}"#, "x".repeat(size));
    let megabytes = 1 << 20;
    for (path, body, limit) in [
        ("/chat/call", call(3 * megabytes), None),
        (
            "/chat/call",
            call(5 * megabytes),
            Some("4MiB are allowed (--body-limit)"),
        ),
        ("/chat/score_group", score(7 * megabytes), None),
        (
            "/chat/score_group",
            score(9 * megabytes),
            Some("8MiB are allowed (--group-body-limit)"),
        ),
        ("/chat/tasks", split(megabytes / 2), None),
        (
            "/chat/tasks",
            split(2 * megabytes),
            Some("1MiB are allowed here"),
        ),
    ] {
        let reply = server.post(path, &body).await;
        match limit {
            // There is no split of this name.
            None if path == "/chat/tasks" => assert_eq!(reply.status, 400),
            None => assert_eq!(reply.status, 200, "{path}: {:.200}", reply.body),
            Some(limit) => {
                assert_eq!(reply.status, 413, "{path}");
                assert!(reply.body.contains(limit), "{path}: {}", reply.body);
            }
        }
    }
}

#[tokio::test]
async fn bodies_share_a_memory() {
    let server = Server::start(ServerConfig {
        body_limit: 1 << 20,
        body_timeout: Duration::from_secs(10),
        request_memory: 2 << 20,
        ..config()
    })
    .await;
    open(&server, "alpha").await;
    // Bodies that are not finished hold what has arrived.
    let mut unfinished = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect().await;
        let head = "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
                    content-type: application/json\r\ncontent-length: 200000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b' '; 100_000]).await.unwrap();
        unfinished.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let body = format!(
        r#"{{"name":"echo","input":{{"text":"{}"}}}}"#,
        "x".repeat(100_000)
    );
    let reply = server.post("/alpha/call", &body).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert_eq!(reply.headers["x-backend-state"], "starting");
    assert!(reply.headers.contains_key("retry-after"));
    assert!(reply.body.contains("--request-memory"), "{}", reply.body);
    drop(unfinished);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.post("/alpha/call", &body).await.status, 200);
}

#[tokio::test]
async fn responses_that_are_not_read_share_a_memory() {
    let server = Server::start(ServerConfig {
        response_memory: 256 << 10,
        write_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        ..config()
    })
    .await;
    let task = r#"{"task_spec":{"prompt":30000}}"#;
    assert_eq!(server.post("/create", task).await.status, 200);
    // Results that nobody reads: one is being sent, the other waits.
    let mut unread = Vec::new();
    for n in [400_000, 400_001] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(server.address).await.unwrap();
        let request = call("big", &format!(r#"{{"n":{n}}}"#));
        stream.write_all(request.as_bytes()).await.unwrap();
        unread.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let reply = server.get("/alpha/prompt").await;
    assert_eq!(reply.status, 503, "{:.300}", reply.body);
    assert_eq!(reply.headers["x-backend-state"], "starting");
    assert!(reply.body.contains("--response-memory"), "{}", reply.body);
    // Short responses are not affected.
    assert_eq!(server.get("/health").await.status, 200);
    drop(unread);
    let started = Instant::now();
    while server.get("/alpha/prompt").await.status != 200 {
        assert!(started.elapsed() < Duration::from_secs(5), "never released");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
