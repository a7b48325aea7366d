//! Secrets in requests, and their echoes in responses.

use orwd_model::{HttpErrorCode, HttpPort, Secrets};

use crate::tests::support::{VALUE, broker, get, granted, hidden, sender, serve, with_key};

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_puts_a_secret_in_and_takes_its_echo_out() {
    // Raw and across chunks, in base64, escaped for a URL, and in a header.
    let (one, two) = VALUE.split_at(7);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Echo: Bearer {VALUE}\r\nTransfer-Encoding: chunked\r\n\r\n{}{}{}0\r\n\r\n",
        chunk(&format!("raw {one}")),
        chunk(two),
        chunk(" base64 a2FuYXJpZW52b2dlbC81ZjFj url kanarienvogel%2F5f1c end"),
    );
    let (address, mut asked) = serve(answer.into()).await;
    let url = format!("http://{address}");
    let broker = broker(vec![granted(std::slice::from_ref(&url))]);
    broker.connect().unwrap();
    let port = broker.port(0);
    let secrets = hidden(&["127.0.0.1"]);
    let response = port.send("alice", with_key(&url), &secrets).await.unwrap();
    let asked = asked.recv().await.unwrap();
    assert!(
        asked.contains(&format!("authorization: Bearer {VALUE}\r\n")),
        "{asked}"
    );
    let body = String::from_utf8(response.body).unwrap();
    assert_eq!(body, "raw [secret] base64 [secret] url [secret] end");
    let echo = ("x-echo".to_owned(), "Bearer [secret]".to_owned());
    assert!(response.headers.contains(&echo), "{:?}", response.headers);
}

#[tokio::test]
async fn the_length_of_a_redacted_body_is_its_own_and_a_compressed_one_is_refused() {
    let length = VALUE.len();
    let (address, _asked) =
        serve(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{VALUE}").into()).await;
    let url = format!("http://{address}");
    let grant = granted(std::slice::from_ref(&url));
    let response = sender("")
        .send(&grant, get(&url), &hidden(&[]))
        .await
        .unwrap();
    assert_eq!(response.body, b"[secret]");
    let header = ("content-length".to_owned(), "8".to_owned());
    assert!(response.headers.contains(&header), "{:?}", response.headers);

    let (address, mut asked) =
        serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx".to_vec())
            .await;
    let url = format!("http://{address}");
    let grant = granted(std::slice::from_ref(&url));
    let mut request = get(&url);
    request
        .headers
        .push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
    let error = sender("")
        .send(&grant, request.clone(), &hidden(&[]))
        .await
        .unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Refused, "{error}");
    let asked_for = asked.recv().await.unwrap();
    assert!(
        asked_for.contains("accept-encoding: identity\r\n"),
        "{asked_for}"
    );
    // Without a hidden secret there is nothing to search for.
    assert!(
        sender("")
            .send(&grant, request, &Secrets::default())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_secret_is_not_sent_where_it_may_not_go() {
    let (address, mut asked) = serve(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let url = format!("http://{address}");
    let grant = granted(std::slice::from_ref(&url));
    let refused = sender("")
        .send(&grant, with_key(&url), &hidden(&["a.com"]))
        .await
        .unwrap_err();
    assert_eq!(refused.code, HttpErrorCode::NotGranted, "{refused}");
    let query = get(&format!("{url}/?key=__SECRET:s:KEY__"));
    let refused = sender("")
        .send(&grant, query, &hidden(&["127.0.0.1"]))
        .await
        .unwrap_err();
    assert_eq!(refused.code, HttpErrorCode::Refused, "{refused}");
    assert!(asked.try_recv().is_err(), "the server was asked");
    // In a body it is a text like any other.
    let mut request = get(&url);
    request.method = "POST".to_owned();
    request.body = b"__SECRET:s:KEY__".to_vec();
    sender("")
        .send(&grant, request, &hidden(&["127.0.0.1"]))
        .await
        .unwrap();
    assert!(asked.recv().await.unwrap().ends_with("__SECRET:s:KEY__"));
}
