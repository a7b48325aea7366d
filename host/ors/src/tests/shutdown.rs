//! Shutdown: drain and grace period.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::client::{Reply, Server, config, read_all};
use super::{call, open};

#[tokio::test]
async fn shutdown_finishes_responses_and_closes_idle_connections() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let request = call("wait", r#"{"n":2000}"#);
    let mut busy = server.connect().await;
    busy.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let address = server.address;
    let started = Instant::now();
    let done = server.stop();
    assert!(read_all(&mut idle).await.contains("200 OK"));
    assert!(started.elapsed() < Duration::from_millis(1500));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let reply = Reply::parse(&read_all(&mut busy).await);
    assert!(reply.complete && reply.body.contains("waited"), "{reply:?}");
    done.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_waits_no_longer_than_the_grace_period() {
    let server = Server::start_with_grace(config(), Duration::from_millis(300)).await;
    open(&server, "alpha").await;
    let request = call("wait", r#"{"n":60000}"#);
    let mut busy = server.connect().await;
    busy.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    server.stop().await.unwrap().unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(2));
    let reply = Reply::parse(&read_all(&mut busy).await);
    assert!(!reply.complete);
}
