//! Attacks by HTTP: guests that want to reach what they may not, and servers that
//! harm who asks them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orwd_tests::artifacts::{component, components};
use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, secrets_header};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::harness::{AttackHarness, call_faulted, quick_or_soak};

/// A server that answers as the path asks, and counts who connects.
struct HostileServer {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl HostileServer {
    fn start(inner: u16) -> HostileServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                // The other end may leave at any time.
                thread::spawn(move || stream.and_then(|stream| answer(stream, inner)));
            }
        });
        HostileServer { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

fn answer(mut stream: TcpStream, inner: u16) -> std::io::Result<()> {
    let mut buffer = [0; 65536];
    let read = stream.read(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let redirect =
        |to: String| format!("HTTP/1.1 307 Away\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let whole = match path {
        "/to-loopback" => redirect(format!("http://127.0.0.1:{inner}/")),
        "/to-itself" => redirect("/to-itself".to_owned()),
        "/to-metadata" => redirect("http://169.254.169.254/latest/meta-data/".to_owned()),
        "/bad-chunk" => format!("{chunked}zz\r\nx\r\n"),
        "/bomb" => {
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb".into()
        }
        "/head" => format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        "/lengths" => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\nx".into(),
        "/silent" => {
            // Until the other end leaves.
            let _ = stream.read(&mut buffer)?;
            return Ok(());
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        "/endless" => {
            stream.write_all(chunked.as_bytes())?;
            let part = [b'x'; 16384];
            loop {
                stream.write_all(b"4000\r\n")?;
                stream.write_all(&part)?;
                stream.write_all(b"\r\n")?;
            }
        }
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into(),
    };
    stream.write_all(whole.as_bytes())
}

/// The environment that makes the requests, with these rules.
fn environment(folder: &TestDir, rules: &[String]) -> PathBuf {
    components();
    folder.copy("judge/env.wasm", component("caller"));
    let manifest = format!(
        "name = \"judge\"\nsecrets = [\"KEY\"]\n[build]\ncomponent = \"env.wasm\"\n[network]\nallow = {rules:?}\n"
    );
    folder.write("judge/orwd.toml", manifest);
    PathBuf::from(folder.at("judge"))
}

fn open(ors: &OrsClient) -> SessionClient {
    ors.open("judge", TaskSelector::At("train", 0))
}

/// Requests this in a session of its own, which continues, and returns the result.
fn request(ors: &OrsClient, input: Value) -> String {
    let session = open(ors);
    let result = session.call("send", input).text();
    let seen = session.call("seen", json!({})).text();
    assert!(seen.contains(&result), "the session continues: {seen}");
    assert_eq!(session.delete().status(), 200);
    result
}

/// Requests a URL, which must end in this kind of error.
fn refused(ors: &OrsClient, url: &str, kind: &str) -> String {
    let result = request(ors, json!({ "urls": [url] }));
    assert!(result.starts_with(&format!("{kind}: ")), "{url}: {result}");
    shortened(&result)
}

fn shortened(text: &str) -> String {
    text.chars().take(90).collect()
}

#[test]
fn network() {
    let inner = HostileServer::start(0);
    let server = HostileServer::start(inner.port);
    let local = format!("http://localhost:{}", inner.port);
    // The port speaks no TLS, and nothing listens at the last one.
    let https = format!("https://127.0.0.1:{}", server.port);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://127.0.0.1:{}", closed.local_addr().unwrap().port());
    drop(closed);
    let rules = [server.url(""), local.clone(), https.clone(), dead.clone()];
    let folder = TestDir::new();
    let judge = environment(&folder, &rules);
    let allowed: Vec<String> = rules.iter().map(|rule| format!("judge={rule}")).collect();
    let mut flags = vec!["--call-wall", "2s", "--call-cpu", "1s"];
    for rule in &allowed {
        flags.extend(["--allow-network", rule]);
    }
    let mut attacks = AttackHarness::new("network", &[], &[judge], &flags);

    for path in ["/to-loopback", "/to-metadata"] {
        attacks.case(
            &format!("a redirect {}", &path[1..]),
            "the rules, at each hop",
            |ors| refused(ors, &server.url(path), "NotGranted"),
        );
    }
    attacks.case("redirects without an end", "their number", |ors| {
        let before = server.asked();
        let saw = refused(ors, &server.url("/to-itself"), "Failed");
        assert_eq!(server.asked() - before, 6);
        saw
    });
    for (name, url) in [
        ("a loopback address of another port", inner.url("/")),
        ("a metadata address", "http://169.254.169.254/".to_owned()),
        ("a private address", "http://10.0.0.1/".to_owned()),
        ("another host", "https://evil.example/".to_owned()),
        (
            "the host as a user",
            format!("http://127.0.0.1:{}@evil.example/", server.port),
        ),
        (
            "a mapped address",
            format!("http://[::ffff:127.0.0.1]:{}/", server.port),
        ),
        (
            "an address as one number",
            format!("http://2130706433:{}/", server.port),
        ),
        (
            "an octal address",
            format!("http://0177.0.0.1:{}/", server.port),
        ),
        ("another scheme", "file:///etc/passwd".to_owned()),
    ] {
        attacks.case(&format!("request {name}"), "the rules", |ors| {
            let result = request(ors, json!({ "urls": [url] }));
            let is_refused = result.starts_with("NotGranted: ") || result.starts_with("Refused: ");
            assert!(is_refused, "{result}");
            shortened(&result)
        });
    }
    attacks.case(
        "a name that leads to loopback",
        "checked addresses",
        |ors| refused(ors, &local, "Refused"),
    );
    assert_eq!(inner.asked(), 0, "nobody reached the inner server");
    for (name, path, stops, kind) in [
        ("a bad chunk", "/bad-chunk", "the parser", "Failed"),
        ("a huge head", "/head", "the size of a head", "Failed"),
        ("two lengths", "/lengths", "the parser", "Failed"),
        ("an endless body", "/endless", "the size of a body", "Limit"),
    ] {
        attacks.case(name, stops, |ors| refused(ors, &server.url(path), kind));
    }
    attacks.case("a compressed bomb", "nothing is unpacked", |ors| {
        let result = request(ors, json!({"urls": [server.url("/bomb")]}));
        assert_eq!(result, "200 bomb");
        result
    });
    attacks.case("no certificate", "TLS", |ors| {
        refused(ors, &https, "Failed")
    });
    attacks.case("nobody listens", "the system", |ors| {
        refused(ors, &dead, "Failed")
    });
    for (name, header) in [
        (
            "a line break in a header",
            ["X-A", "b\r\nHost: evil.example"],
        ),
        (
            "a second request in a header",
            ["X-A", "b\r\n\r\nGET /to-loopback HTTP/1.1"],
        ),
        ("another host in a header", ["Host", "evil.example"]),
        ("a second framing", ["Transfer-Encoding", "chunked"]),
    ] {
        attacks.case(name, "checked headers", |ors| {
            let input = json!({"urls": [server.url("/")], "headers": [header]});
            let result = request(ors, input);
            assert!(result.starts_with("Refused: "), "{result}");
            shortened(&result)
        });
    }
    attacks.case("a secret to another host", "allowed_domains", |ors| {
        let secrets = json!({"KEY": {"value": "kanarienvogel", "allowed_domains": ["a.example"]}});
        let header = secrets_header(&secrets);
        let before = server.asked();
        let session = ors.open_with(
            "judge",
            TaskSelector::At("train", 0),
            &[("X-Secrets", &header)],
        );
        let input = json!({"urls": [server.url("/")], "headers": [["X-Key", "$KEY"]]});
        let result = session.call("send", input).text();
        assert!(result.starts_with("NotGranted: "), "{result}");
        assert_eq!(server.asked(), before, "it was sent");
        assert_eq!(session.delete().status(), 200);
        shortened(&result)
    });
    for path in ["/silent", "/drip"] {
        attacks.case(
            &format!("servers that are slow: {}", &path[1..]),
            "--call-wall",
            |ors| {
                // More than are sent at once; none holds a thread or a turn on a CPU.
                let begin = Instant::now();
                let saw = run_concurrently((0..quick_or_soak(24, 64)).map(|_| {
                    let (ors, url) = (ors.clone(), server.url(path));
                    move || {
                        let session = open(&ors);
                        let call = session.call("send", json!({ "urls": [url] }));
                        call_faulted(&session, &call, "limit_network")
                    }
                }));
                assert!(
                    begin.elapsed() < Duration::from_secs(40),
                    "they wait for each other"
                );
                saw.into_iter().next().unwrap_or_default()
            },
        );
    }
    attacks.case(
        "calls that waited for slow servers",
        "their requests end",
        |ors| {
            // Those calls were of the same owner, and held all of its places.
            let result = request(ors, json!({"urls": [server.url("/")]}));
            assert_eq!(result, "200 ok");
            result
        },
    );
    attacks.end();
}
