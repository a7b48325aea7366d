//! Responses of servers, friendly and hostile.

use std::time::Duration;

use orwd_model::{HttpErrorCode, Secrets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http::sender::MAX_RESPONSE;
use crate::tests::support::{fetch, get, granted, sender, serve};

#[tokio::test]
async fn a_request_is_sent_as_it_is_and_its_response_is_whole() {
    let (address, mut asked) =
        serve(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi".to_vec()).await;
    let rule = format!("POST http://{address}/v1");
    let mut request = get(&format!("http://{address}/v1/x?y=z"));
    request.method = "POST".to_owned();
    request
        .headers
        .push(("Authorization".to_owned(), "Bearer k".to_owned()));
    request.body = b"body".to_vec();
    let response = sender("")
        .send(&granted(&[rule]), request, &Secrets::default())
        .await
        .unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (201, &b"hi"[..])
    );
    assert!(
        response
            .headers
            .contains(&("x-a".to_owned(), "b".to_owned()))
    );
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("POST /v1/x?y=z HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    assert!(asked.contains("authorization: Bearer k\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nbody"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_a_response_and_is_not_followed() {
    let (inner, mut asked) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{inner}/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(fetch(answer).await.unwrap().status, 302);
    assert!(asked.try_recv().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn a_hostile_response_ends_in_a_named_error() {
    use HttpErrorCode::{Failed, Limit, Timeout};
    let chunk = format!(
        "{:x}\r\n{}\r\n",
        MAX_RESPONSE / 2,
        "x".repeat(MAX_RESPONSE / 2)
    );
    let endless = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunk.repeat(3)
    );
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1000));
    for (what, answer, expected) in [
        ("an endless body", endless.as_str(), Limit),
        ("a huge head", &head, Failed),
        ("many headers", &many, Failed),
        (
            "a bad chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Failed,
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            Failed,
        ),
        (
            "a body that breaks off",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
            Failed,
        ),
        ("no HTTP", "SSH-2.0-x\r\n", Failed),
        ("nothing", "", Failed),
    ] {
        let error = fetch(answer).await.unwrap_err();
        assert_eq!(error.code, expected, "{what}: {error}");
    }
    // A server that says nothing, and one that drips.
    for drips in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
            if drips {
                let _ = stream.write_all(head).await;
            }
            while !drips || stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let error = sender("")
            .send(
                &granted(std::slice::from_ref(&url)),
                get(&url),
                &Secrets::default(),
            )
            .await
            .unwrap_err();
        assert_eq!(error.code, Timeout, "{error}");
        server.abort();
    }
}
