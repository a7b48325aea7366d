//! Each limit of the front, and that it bites.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::super::Front;
use super::client::{Reply, Server, front, read_all};
use super::{call, open};

#[tokio::test]
async fn bodies_that_are_too_large_or_too_slow() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let limit = front().body_limit;
    for (length, status) in [(limit, 422), (limit + 1, 413), (limit * 4, 413)] {
        let reply = server.post("/alpha/call", &" ".repeat(length)).await;
        assert_eq!(reply.status, status, "{length}");
    }
    // Without a length, in chunks.
    for (chunks, status) in [(15, 422), (17, 413)] {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(chunks);
        let request = format!(
            "POST /alpha/call HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        );
        let reply = Reply::parse(&server.exchange(&request).await);
        assert_eq!(reply.status, status, "{chunks} chunks");
    }
    // Half a body, and then nothing.
    let started = Instant::now();
    let head = "POST /alpha/call HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    let reply = Reply::parse(&server.exchange(head).await);
    assert_eq!(reply.status, 408);
    assert_eq!(reply.headers["connection"], "close");
    assert!(started.elapsed() >= front().body_timeout);
    // A client that asks before it sends is told at once.
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        limit + 1
    );
    let reply = Reply::parse(&server.exchange(&head).await);
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_body_in_a_packet_of_its_own_keeps_the_connection() {
    let server = Server::start(front()).await;
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
        // The end of a stream may come apart from its beginning.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = stream.try_read(&mut buffer);
    }
}

#[tokio::test]
async fn heads_that_are_too_large_or_too_slow() {
    let server = Server::start(front()).await;
    let long = "x".repeat(front().header_limit);
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
    // A head that drips, on a new connection and on a used one.
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
async fn an_idle_connection_is_closed_later_than_a_slow_head() {
    let server = Server::start(front()).await;
    let mut stream = server.connect().await;
    let request = b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        tokio::time::sleep(front().header_timeout * 2).await;
    }
    let started = Instant::now();
    let wire = read_all(&mut stream).await;
    assert_eq!(wire.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(started.elapsed() < front().idle_timeout);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    // The next client is let in only once this one is out.
    let server = Server::start(Front {
        connections: 1,
        ..front()
    })
    .await;
    open(&server, "alpha").await;
    let request = call("big", r#"{"n":12000000}"#);
    // So small a window that the result cannot hide in the kernel's buffers.
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
async fn no_more_connections_than_there_may_be() {
    let server = Server::start(Front {
        connections: 2,
        ..front()
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
async fn a_body_comes_at_a_pace() {
    let server = Server::start(Front {
        body_timeout: Duration::from_secs(60),
        body_rate: 1000,
        ..front()
    })
    .await;
    // Pieces of a body, one after another, and when the answer came.
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
            // The answer is there before the body is.
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
    let (drips, flows) = tokio::join!(send(1000, 1), send(20_000, 500));
    // It has five seconds, and then for each byte a thousandth of one.
    assert_eq!(drips.0, 408);
    assert!(drips.1 >= Duration::from_secs(5) && drips.1 < Duration::from_secs(30));
    assert_eq!(flows.0, 422, "after {:?}", flows.1);
    assert!(flows.1 > Duration::from_secs(7));
}

#[tokio::test]
async fn a_reader_whose_answer_lies_in_the_kernel_is_given_up() {
    // The next client is let in only once this one is out, for which it has
    // long as far as the time between requests goes.
    let server = Server::start(Front {
        connections: 1,
        idle_timeout: Duration::from_secs(60),
        ..front()
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
