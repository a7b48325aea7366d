//! One broker for several environments and owners.

use std::time::Duration;

use orwd_model::{HttpErrorCode, HttpLimits, HttpPort, Secrets};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::tests::support::{broker, get, granted, limited_broker, serve};

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_its_own_grant_at_the_broker() {
    let (one, _asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1".to_vec()).await;
    let (two, _asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2".to_vec()).await;
    let urls = [one, two].map(|address| format!("http://{address}"));
    let broker = broker(
        urls.iter()
            .map(|url| granted(std::slice::from_ref(url)))
            .collect(),
    );
    broker.connect().unwrap();
    for (place, url) in urls.iter().enumerate() {
        for (other, _) in urls.iter().enumerate() {
            let result = broker
                .port(other)
                .send("alice", get(url), &Secrets::default())
                .await;
            match result {
                Ok(response) => {
                    assert_eq!(place, other);
                    assert_eq!(response.body, (place + 1).to_string().as_bytes());
                }
                Err(error) => {
                    assert_ne!(place, other);
                    assert_eq!(error.code, HttpErrorCode::NotGranted);
                }
            }
        }
    }
    let error = broker
        .port(2)
        .send("alice", get(&urls[0]), &Secrets::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, HttpErrorCode::NotGranted);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_of_one_owner_leave_places_to_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}", listener.local_addr().unwrap());
    let (quick, _asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let quick = format!("http://{quick}");
    let broker = broker(vec![granted(&[slow.clone(), quick.clone()])]);
    broker.connect().unwrap();
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (port, request) = (broker.port(0), get(&slow));
            tokio::spawn(async move { port.send("mallory", request, &Secrets::default()).await })
        })
        .collect();
    let response = broker
        .port(0)
        .send("alice", get(&quick), &Secrets::default())
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop(listener);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_owner_has_a_rate_and_requests_above_it_wait() {
    let (address, _asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let url = format!("http://{address}");
    let limits = HttpLimits {
        rate: 1,
        ..HttpLimits::default()
    };
    let broker = limited_broker(vec![granted(std::slice::from_ref(&url))], &limits);
    broker.connect().unwrap();
    let begin = std::time::Instant::now();
    // A burst of ten, and one each second.
    for _ in 0..12 {
        let (port, none) = (broker.port(0), Secrets::default());
        port.send("alice", get(&url), &none).await.unwrap();
    }
    assert!(begin.elapsed() >= Duration::from_secs(2), "all at once");
    // What waits of one owner is nothing to another.
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (port, request) = (broker.port(0), get(&url));
            tokio::spawn(async move { port.send("alice", request, &Secrets::default()).await })
        })
        .collect();
    let (port, none) = (broker.port(0), Secrets::default());
    port.send("bob", get(&url), &none).await.unwrap();
    assert!(waiting.iter().any(|task| !task.is_finished()));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_awaits_any_more_ends_and_its_place_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}", listener.local_addr().unwrap());
    let (quick, _asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let quick = format!("http://{quick}");
    let broker = broker(vec![granted(&[slow.clone(), quick.clone()])]);
    broker.connect().unwrap();
    // More than all places of the owner; they would be held for more than a minute.
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let (port, request) = (broker.port(0), get(&slow));
            tokio::spawn(async move { port.send("alice", request, &Secrets::default()).await })
        })
        .collect();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0, "it is asked");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let port = broker.port(0);
    let secrets = Secrets::default();
    let next = port.send("alice", get(&quick), &secrets);
    let next = tokio::time::timeout(Duration::from_secs(40), next).await;
    assert_eq!(next.expect("a free place").unwrap().status, 200);
    let ended = tokio::time::timeout(Duration::from_secs(40), stream.read(&mut buffer)).await;
    assert!(
        matches!(ended, Ok(Ok(0) | Err(_))),
        "its connection is closed"
    );
}
