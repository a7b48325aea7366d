//! Who may use a server: API keys, host names, the limits on connections, and
//! timeouts of idle ones (`timeouts` has stalled readers).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::http::{HttpConnection, HttpRequest, HttpResponse};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, TaskSelector, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::TIMEOUT;

/// Creates a key with the command line.
fn new_key(file: &str, name: &str) -> String {
    let made = OrwdCommand::new(["keys", "add", name, "--api-keys", file]).run();
    made.expect_success().trim_end().to_owned()
}

/// Sends a request with a key, for a session.
fn keyed(ors: &OrsClient, key: &str, session: &str, request: HttpRequest) -> HttpResponse {
    ors.fetch(
        &request
            .header("X-API-Key", key)
            .header(SESSION_HEADER, session),
    )
}

/// Returns a response without its time and request id.
fn comparable(answer: &HttpResponse) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.head.headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    (answer.status(), headers, answer.body.clone())
}

#[test]
fn each_key_sees_its_own_sessions_only() {
    let scratch = TestDir::new();
    let file = scratch.at("keys.toml");
    let (alice, bob) = (new_key(&file, "alice"), new_key(&file, "bob"));
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", &file)
        .start();
    let ors = server.ors();

    assert_eq!(ors.get("/health").status(), 200);
    for wrong in ["", "none", &alice[..alice.len() - 1], "orwd__"] {
        let answer = keyed(&ors, wrong, "s", HttpRequest::get("/list_environments"));
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.text(), r#"{"detail":"Invalid API key"}"#);
    }
    let bearer = format!("Bearer {alice}");
    let asked = HttpRequest::get("/list_environments").header("Authorization", bearer);
    assert_eq!(ors.fetch(&asked).json(), json!(["alpha"]));

    // One id names one session per key.
    let id = fresh_id();
    let create = || HttpRequest::post("/create").json(&TaskSelector::Spec(json!({})).body("alpha"));
    for key in [&alice, &bob] {
        assert_eq!(keyed(&ors, key, &id, create()).status(), 200);
    }
    let again = keyed(&ors, &alice, &id, create());
    assert_eq!(again.status(), 400, "{again:?}");
    assert_eq!(
        keyed(&ors, &bob, &id, HttpRequest::post("/delete")).status(),
        200
    );
    assert_eq!(
        keyed(&ors, &alice, &id, HttpRequest::post("/ping")).status(),
        200
    );

    // On every route another key's id looks like an unknown one. Bob never had a
    // session of this id: the admin routes show ended ones.
    let id = fresh_id();
    assert_eq!(keyed(&ors, &alice, &id, create()).status(), 200);
    let call = || HttpRequest::post("/alpha/call").json(&json!({"name": "noargs", "input": {}}));
    assert!(
        keyed(&ors, &alice, &id, call())
            .text()
            .contains("noargs ok")
    );
    // The id is in the header of each, and in the path of those that have it there.
    let routes: [fn(&str) -> HttpRequest; 11] = [
        |_| HttpRequest::post("/ping"),
        |_| HttpRequest::get("/alpha/prompt"),
        |_| HttpRequest::get("/alpha/messages"),
        |_| HttpRequest::get("/alpha/task_tools"),
        |_| HttpRequest::post("/alpha/call").json(&json!({"name": "noargs", "input": {}})),
        |_| HttpRequest::post("/alpha/call").json(&json!({"name": 1})),
        |_| HttpRequest::post("/alpha/score_group").json(&json!({"candidates": []})),
        |id| HttpRequest::get(&format!("/orwd/sessions/{id}")),
        |id| HttpRequest::get(&format!("/orwd/sessions/{id}/steps")),
        |id| HttpRequest::get(&format!("/orwd/sessions/{id}/receipt")),
        |id| HttpRequest::post(&format!("/orwd/sessions/{id}/fork")),
    ];
    let unknown = fresh_id();
    for route in routes {
        let foreign = keyed(&ors, &bob, &id, route(&id));
        let nobodys = keyed(&ors, &bob, &unknown, route(&unknown));
        assert_eq!(comparable(&foreign), comparable(&nobodys));
        assert_eq!(foreign.status(), 404, "{foreign:?}");
    }
    assert_eq!(
        keyed(&ors, &alice, &id, HttpRequest::post("/ping")).status(),
        200
    );

    // The log contains the names of keys only.
    server.wait_for_log("key=\"alice\"");
    server.wait_for_log("key=\"bob\"");
    let log = server.log();
    for key in [&alice, &bob] {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!log.contains(secret), "a key in the log:\n{log}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(secret), "a key in the file:\n{text}");
    }
}

#[test]
fn a_key_is_revoked_and_added_while_the_server_runs() {
    let scratch = TestDir::new();
    let file = scratch.at("keys.toml");
    let alice = new_key(&file, "alice");
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", &file)
        .start();
    let ors = server.ors();
    let status = |key: &str| keyed(&ors, key, "s", HttpRequest::get("/version")).status();
    let becomes = |key: &str, expected: u16| {
        let begin = Instant::now();
        while status(key) != expected {
            assert!(begin.elapsed() < Duration::from_secs(5), "never {expected}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    assert_eq!(status(&alice), 200);
    let bob = new_key(&file, "bob");
    becomes(&bob, 200);
    let text = std::fs::read_to_string(&file).unwrap();
    let without = |name: &str| -> String {
        text.lines()
            .filter(|line| !line.starts_with(name))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    std::fs::write(&file, without("alice")).unwrap();
    becomes(&alice, 401);
    assert_eq!(status(&bob), 200);
    // Without the file no key is valid.
    std::fs::remove_file(&file).unwrap();
    becomes(&bob, 401);
    wait_until("it is logged", TIMEOUT, || {
        server.log().contains("cannot reload key file")
    });
}

#[test]
fn an_unusable_key_file_is_refused_at_startup() {
    let scratch = TestDir::new();
    let file = scratch.at("keys.toml");
    new_key(&file, "alice");
    let again = OrwdCommand::new(["keys", "add", "alice", "--api-keys", &file]).run();
    again.expect_failure(&["keys.toml", "\"alice\" exists"]);
    OrwdCommand::new(["keys", "add", "a b", "--api-keys", &file])
        .run()
        .expect_failure(&["letters, digits"]);
    let missing = scratch.at("missing.toml");
    let broken = scratch.write("broken.toml", "alice = \"x\"\n");
    let broken = broken.to_str().unwrap();
    for (file, parts) in [
        (&*missing, ["missing.toml", "No such file"]),
        (broken, ["broken.toml", "\"alice\""]),
    ] {
        let refused = ServeCommand::fixtures(&["alpha"])
            .set("--api-keys", file)
            .command()
            .run();
        refused.expect_failure(&parts);
    }
}

#[test]
fn dns_rebinding_is_refused() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--allow-host", "orwd.example")
        .start();
    let ors = server.ors();
    let id = fresh_id();
    let create = |host: &str| {
        HttpRequest::post("/create")
            .header("Host", host)
            .header(SESSION_HEADER, &id)
            .json(&json!({"task_spec": {}}))
    };
    for request in [
        create("evil.example"),
        create("evil.example:8080").header("Origin", "http://evil.example:8080"),
        create("localhost").header("Origin", "http://evil.example"),
        create("localhost").header("Origin", "null"),
        create("ors.test").header("Origin", "http://ors.test"),
        create("0.0.0.0"),
    ] {
        let refused = ors.fetch(&request);
        let message = error_detail(&refused, 403);
        assert!(message.contains("--allow-host"), "{message}");
    }
    assert_eq!(ors.post_empty(&id, "/ping").status(), 404);
    for host in [
        "orwd.example",
        "orwd.example:80",
        "[::1]:9",
        "LOCALHOST",
        "ors.test",
    ] {
        let answer = ors.fetch(&HttpRequest::get("/list_environments").header("Host", host));
        assert_eq!(answer.status(), 200, "{host}");
    }
    let page = create("localhost:3000").header("Origin", "http://localhost:3000");
    assert_eq!(ors.fetch(&page).status(), 200);
    assert_eq!(ors.post_empty(&id, "/delete").status(), 200);
}

#[test]
fn connections_per_address_are_limited() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--max-connections-per-address", "3")
        .start();
    let ors = server.ors();
    let open = || ors.client().connect();
    let asks = |connection: &mut HttpConnection| {
        connection
            .fetch(&HttpRequest::get("/health"))
            .map(|answer| answer.status())
    };
    let mut kept: Vec<HttpConnection> = (0..3).map(|_| open()).collect();
    for connection in &mut kept {
        assert_eq!(asks(connection).unwrap(), 200);
    }
    let refused = asks(&mut open());
    assert!(!matches!(refused, Ok(200)), "{refused:?}");
    for connection in &mut kept {
        assert_eq!(asks(connection).unwrap(), 200);
    }
    kept.pop();
    let begin = Instant::now();
    while !matches!(asks(&mut open()), Ok(200)) {
        assert!(begin.elapsed() < TIMEOUT, "the slot is never free");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Connects from this address of the machine, and asks for the health of the server.
fn asks_from(address: [u8; 4], server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect_timeout(&server.into(), TIMEOUT)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    match &status {
        b"HTTP/1.1 200" => Ok(stream),
        other => Err(std::io::Error::other(format!("{other:?}"))),
    }
}

#[test]
fn one_address_of_this_machine_leaves_connections_for_another() {
    let scratch = TestDir::new();
    let file = scratch.at("keys.toml");
    new_key(&file, "alice");
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", &file)
        .set("--max-connections", "20")
        .start();
    let to = server.address().parse().expect("an address");
    let first: Vec<TcpStream> = std::iter::from_fn(|| asks_from([127, 0, 0, 1], to).ok()).collect();
    assert!((12..=16).contains(&first.len()), "{}", first.len());
    let second = asks_from([127, 0, 0, 2], to).expect("there is one for another address");
    drop((first, second));
}

#[test]
fn one_client_may_have_a_thousand_connections() {
    let server = ServeCommand::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let ask = HttpRequest::get("/health");
    let mut many: Vec<HttpConnection> = (0..1500).map(|_| ors.client().connect()).collect();
    for connection in &mut many {
        assert_eq!(connection.fetch(&ask).unwrap().status(), 200);
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--keep-alive", "1s")
        .set("--header-timeout", "1s")
        .start();
    let ors = server.ors();
    // A connection without a request, one after a request, one in mid-head.
    for bytes in [
        "",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: loc",
    ] {
        let mut connection = ors.client().connect();
        connection.set_read_timeout(TIMEOUT).unwrap();
        connection.send_raw(bytes.as_bytes()).unwrap();
        let begin = Instant::now();
        connection.read_to_end().expect("the server closes");
        assert!(begin.elapsed() > Duration::from_millis(500), "{bytes:?}");
    }
}
