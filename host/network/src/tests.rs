//! Requests to servers of this machine, friendly and hostile.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use orwd_model::{HttpErrorCode, HttpLimits, HttpPort, HttpRequest, HttpResult, Secret, Secrets};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::broker::client::Broker;
use crate::broker::config::BrokerConfig;
use crate::broker::frame::{self, BrokerEvent};
use crate::broker::server;
use crate::http::resolver::Resolver;
use crate::http::sender::{MAX_RESPONSE, Sender};
use crate::http::tls;
use crate::rules::grant::{NetworkGrant, OperatorRules};
use crate::rules::rule::Rule;

/// Starts a server that answers each connection with these bytes, and returns
/// its address. What it read is returned by the channel.
async fn serve(answer: Vec<u8>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, asked)
}

fn granted(rules: &[String]) -> NetworkGrant {
    let rules: Vec<Rule> = rules
        .iter()
        .map(|rule| Rule::parse(rule).unwrap())
        .collect();
    NetworkGrant::new(&rules, &OperatorRules::Rules(rules.clone()))
}

fn sender(hosts: &str) -> Sender {
    Sender {
        resolver: Resolver::parse("", hosts),
        tls: tls::config(&[]).unwrap(),
        limits: HttpLimits {
            head: Duration::from_millis(300),
            total: Duration::from_millis(600),
            ..HttpLimits::default()
        }
        .into(),
    }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

async fn fetch(answer: impl Into<Vec<u8>>) -> HttpResult {
    let (address, _asked) = serve(answer.into()).await;
    let url = format!("http://{address}");
    sender("")
        .send(
            &granted(std::slice::from_ref(&url)),
            get(&url),
            &Secrets::default(),
        )
        .await
}

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
async fn a_name_is_not_followed_to_an_address_that_is_not_public() {
    let (address, mut asked) = serve(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let port = address.rsplit(':').next().unwrap();
    for (hosts, name) in [
        ("127.0.0.1 inner.example", "inner.example"),
        ("169.254.169.254 meta.example", "meta.example"),
        ("::ffff:127.0.0.1 mapped.example", "mapped.example"),
        // One public address does not excuse the other.
        (
            "1.1.1.1 both.example\n127.0.0.1 both.example",
            "both.example",
        ),
    ] {
        let url = format!("http://{name}:{port}");
        let grant = granted(std::slice::from_ref(&url));
        let error = sender(hosts)
            .send(&grant, get(&url), &Secrets::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, HttpErrorCode::Refused, "{name}: {error}");
    }
    // An address that only the manifest names is not enough either.
    let rules = [Rule::parse(&format!("http://{address}")).unwrap()];
    let grant = NetworkGrant::new(&rules, &OperatorRules::Manifest);
    let error = sender("")
        .send(
            &grant,
            get(&format!("http://{address}")),
            &Secrets::default(),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Refused);
    assert!(asked.try_recv().is_err(), "the server was asked");
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

const VALUE: &str = "kanarienvogel/5f1c";

fn hidden(domains: &[&str]) -> Secrets {
    let mut secret = Secret::new("KEY".to_owned(), Zeroizing::new(VALUE.to_owned()));
    secret.allowed_domains = Some(domains.iter().map(|name| (*name).to_owned()).collect());
    let mut secrets = Secrets::new(vec![secret]);
    secrets.hide_as("s".to_owned());
    secrets
}

fn with_key(url: &str) -> HttpRequest {
    let mut request = get(url);
    let header = (
        "authorization".to_owned(),
        "Bearer __SECRET:s:KEY__".to_owned(),
    );
    request.headers.push(header);
    request
}

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

#[tokio::test]
async fn a_server_without_a_certificate_of_a_known_authority_is_refused() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["judge.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = CertificateDer::from(certificate.der().to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der.clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    // The certificate is for a name; the rule must name the address, since it is
    // not public. So both are tried: the name with a checked TLS connection, and
    // the address whose certificate is for somebody else.
    let trusting = tls::config(&[der.to_vec()]).unwrap();
    let url = format!("https://{address}");
    let grant = granted(std::slice::from_ref(&url));
    for (config, part) in [
        (tls::config(&[]).unwrap(), "UnknownIssuer"),
        (trusting.clone(), "not valid for name"),
    ] {
        let sender = Sender {
            tls: config,
            ..sender("")
        };
        let error = sender
            .send(&grant, get(&url), &Secrets::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, HttpErrorCode::Failed);
        assert!(error.message.contains(part), "{error}");
    }
    let host = crate::rules::url::Host::parse("judge.example").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    assert!(tls::connect(trusting, &host, stream).await.is_ok());
}

/// Starts a broker in this process, with these grants.
fn broker(grants: Vec<NetworkGrant>) -> Arc<Broker> {
    limited_broker(grants, &HttpLimits::default())
}

/// The same, with these limits of its client.
fn limited_broker(grants: Vec<NetworkGrant>, limits: &HttpLimits) -> Arc<Broker> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        server::serve(theirs, |_| Ok("nothing".to_owned())).unwrap();
    });
    Broker::of_stream(ours, &BrokerConfig::of(grants), limits)
}

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

/// Stands for the keeper and the broker: reads the configuration and is ready.
fn fake_broker(play: impl FnOnce(UnixStream) + Send + 'static) -> Arc<Broker> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        frame::read_blocking(&mut &theirs).unwrap();
        say_ready(&theirs);
        play(theirs);
    });
    let limits = HttpLimits::default();
    Broker::of_stream(ours, &BrokerConfig::of(Vec::new()), &limits)
}

fn say_ready(stream: &UnixStream) {
    let hardening = String::new();
    say(stream, 0, &BrokerEvent::Ready { hardening });
}

fn say(mut stream: &UnixStream, id: u64, message: &impl serde::Serialize) {
    let bytes = frame::encode(id, message).unwrap();
    stream.write_all(&bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_by_name_when_the_broker_is_lost() {
    let broker = fake_broker(|stream| {
        frame::read_blocking(&mut &stream).unwrap();
    });
    broker.connect().unwrap();
    for _ in 0..2 {
        let port = broker.port(0);
        let result = port
            .send("alice", get("http://a.com"), &Secrets::default())
            .await;
        assert_eq!(result.unwrap_err().code, HttpErrorCode::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_broker_ends_is_repeated_only_if_that_is_harmless() {
    let end = |stream: &UnixStream| {
        let reason = "killed".to_owned();
        say(stream, 0, &BrokerEvent::Ended { reason });
    };
    let broker = fake_broker(move |stream| {
        // The first request is lost with the broker, twice.
        for _ in 0..2 {
            frame::read_blocking(&mut &stream).unwrap();
            end(&stream);
            say_ready(&stream);
        }
        let request = frame::read_blocking(&mut &stream).unwrap();
        let response = orwd_model::HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
        };
        say(
            &stream,
            request.id,
            &frame::ResultMessage {
                result: Ok(response),
            },
        );
        // The second one is not repeated.
        frame::read_blocking(&mut &stream).unwrap();
        end(&stream);
        std::thread::sleep(Duration::from_millis(50));
        say_ready(&stream);
        let request = frame::read_blocking(&mut &stream).unwrap();
        let message: frame::SendMessage = request.decode().unwrap();
        assert_eq!(message.request.method, "GET", "the other was sent again");
        let refused = orwd_model::HttpError::new(HttpErrorCode::Refused, "third");
        say(
            &stream,
            request.id,
            &frame::ResultMessage {
                result: Err(refused),
            },
        );
        let _ = frame::read_blocking(&mut &stream);
    });
    broker.connect().unwrap();
    let port = broker.port(0);
    let none = Secrets::default();
    let result = port.send("alice", get("http://a.com"), &none).await;
    assert_eq!(result.unwrap().status, 200);
    let mut post = get("http://a.com");
    post.method = "POST".to_owned();
    let result = port.send("alice", post, &none).await;
    assert_eq!(result.unwrap_err().code, HttpErrorCode::InDoubt);
    // One that comes meanwhile waits for the next broker.
    let result = port.send("alice", get("http://a.com"), &none).await;
    assert_eq!(result.unwrap_err().message, "third");
}
