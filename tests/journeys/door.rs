//! Whom a server lets in: keys, the names it is called by, and how many
//! connections; and that it lets go of clients that do nothing (a reader that
//! stalls is in [`crate::waiting`]).

use std::time::{Duration, Instant};

use orwd_tests::command::Orwd;
use orwd_tests::expect::detail;
use orwd_tests::http::{Connection, Request, Response};
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Ors, SESSION_HEADER, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use serde_json::json;

use crate::SOON;

/// Makes a key by the command line.
fn new_key(file: &str, name: &str) -> String {
    let made = Orwd::new(["keys", "new", name, "--api-keys", file]).run();
    made.succeeds().trim_end().to_owned()
}

/// A request with a key, for a session.
fn keyed(ors: &Ors, key: &str, session: &str, request: Request) -> Response {
    ors.ask(
        &request
            .header("X-API-Key", key)
            .header(SESSION_HEADER, session),
    )
}

/// What of an answer does not tell the time or its own id.
fn same(answer: &Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.head.headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    (answer.status(), headers, answer.body.clone())
}

#[test]
fn each_key_has_its_own_sessions_and_sees_no_other() {
    let scratch = Scratch::new();
    let file = scratch.at("keys.toml");
    let (alice, bob) = (new_key(&file, "alice"), new_key(&file, "bob"));
    let server = Serve::fixtures(&["alpha"]).set("--api-keys", &file).start();
    let ors = server.ors();

    assert_eq!(ors.get("/health").status(), 200);
    for wrong in ["", "none", &alice[..alice.len() - 1], "orwd__"] {
        let answer = keyed(&ors, wrong, "s", Request::get("/list_environments"));
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.text(), r#"{"detail":"Invalid API key"}"#);
    }
    let bearer = format!("Bearer {alice}");
    let asked = Request::get("/list_environments").header("Authorization", bearer);
    assert_eq!(ors.ask(&asked).json(), json!(["alpha"]));

    // The same id twice, and two sessions.
    let id = fresh_id();
    let create = || Request::post("/create").json(&Task::Spec(json!({})).body("alpha"));
    for key in [&alice, &bob] {
        assert_eq!(keyed(&ors, key, &id, create()).status(), 200);
    }
    let again = keyed(&ors, &alice, &id, create());
    assert_eq!(again.status(), 400, "{again:?}");
    assert_eq!(
        keyed(&ors, &bob, &id, Request::post("/delete")).status(),
        200
    );
    assert_eq!(
        keyed(&ors, &alice, &id, Request::post("/ping")).status(),
        200
    );

    // On every route a foreign id is like one that nobody has.
    let call = || Request::post("/alpha/call").json(&json!({"name": "noargs", "input": {}}));
    assert!(
        keyed(&ors, &alice, &id, call())
            .text()
            .contains("noargs ok")
    );
    let routes: [fn() -> Request; 7] = [
        || Request::post("/ping"),
        || Request::get("/alpha/prompt"),
        || Request::get("/alpha/messages"),
        || Request::get("/alpha/task_tools"),
        || Request::post("/alpha/call").json(&json!({"name": "noargs", "input": {}})),
        || Request::post("/alpha/call").json(&json!({"name": 1})),
        || Request::post("/alpha/score_group").json(&json!({"candidates": []})),
    ];
    let unknown = fresh_id();
    for route in routes {
        let foreign = keyed(&ors, &bob, &id, route());
        let nobodys = keyed(&ors, &bob, &unknown, route());
        assert_eq!(same(&foreign), same(&nobodys));
        assert_eq!(foreign.status(), 404, "{foreign:?}");
    }
    assert_eq!(
        keyed(&ors, &alice, &id, Request::post("/ping")).status(),
        200
    );

    // The log knows the keys by their names.
    server.logs("key=\"alice\"");
    server.logs("key=\"bob\"");
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
    let scratch = Scratch::new();
    let file = scratch.at("keys.toml");
    let alice = new_key(&file, "alice");
    let server = Serve::fixtures(&["alpha"]).set("--api-keys", &file).start();
    let ors = server.ors();
    let status = |key: &str| keyed(&ors, key, "s", Request::get("/version")).status();
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
    // Without a file nobody has a key.
    std::fs::remove_file(&file).unwrap();
    becomes(&bob, 401);
    wait_until("it is said", SOON, || {
        server.log().contains("cannot reload key file")
    });
}

#[test]
fn keys_that_cannot_be_used_are_refused_at_once() {
    let scratch = Scratch::new();
    let file = scratch.at("keys.toml");
    new_key(&file, "alice");
    let again = Orwd::new(["keys", "new", "alice", "--api-keys", &file]).run();
    again.refuses(&["keys.toml", "\"alice\" already"]);
    Orwd::new(["keys", "new", "a b", "--api-keys", &file])
        .run()
        .refuses(&["letters, digits"]);
    let missing = scratch.at("missing.toml");
    let broken = scratch.write("broken.toml", "alice = \"x\"\n");
    let broken = broken.to_str().unwrap();
    for (file, parts) in [
        (&*missing, ["missing.toml", "No such file"]),
        (broken, ["broken.toml", "\"alice\""]),
    ] {
        let refused = Serve::fixtures(&["alpha"])
            .set("--api-keys", file)
            .command()
            .run();
        refused.refuses(&parts);
    }
}

#[test]
fn a_page_whose_name_was_bound_to_this_machine_gets_nothing() {
    let server = Serve::fixtures(&["alpha"])
        .set("--allow-host", "orwd.example")
        .start();
    let ors = server.ors();
    let id = fresh_id();
    let create = |host: &str| {
        Request::post("/create")
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
        let refused = ors.ask(&request);
        let told = detail(&refused, 403);
        assert!(told.contains("--allow-host"), "{told}");
    }
    assert_eq!(ors.touch(&id, "/ping").status(), 404);
    for host in [
        "orwd.example",
        "orwd.example:80",
        "[::1]:9",
        "LOCALHOST",
        "ors.test",
    ] {
        let answer = ors.ask(&Request::get("/list_environments").header("Host", host));
        assert_eq!(answer.status(), 200, "{host}");
    }
    let page = create("localhost:3000").header("Origin", "http://localhost:3000");
    assert_eq!(ors.ask(&page).status(), 200);
    assert_eq!(ors.touch(&id, "/delete").status(), 200);
}

#[test]
fn an_address_has_only_so_many_connections() {
    let server = Serve::fixtures(&["alpha"])
        .set("--max-connections-per-address", "3")
        .start();
    let ors = server.ors();
    let open = || ors.client().connect();
    let asks = |connection: &mut Connection| {
        connection
            .ask(&Request::get("/health"))
            .map(|answer| answer.status())
    };
    let mut kept: Vec<Connection> = (0..3).map(|_| open()).collect();
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
        assert!(begin.elapsed() < crate::SOON, "the place is never free");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_machine_may_have_thousands_of_connections_to_itself() {
    let server = Serve::fixtures(&["alpha"]).start();
    let ors = server.ors();
    let ask = Request::get("/health");
    let mut many: Vec<Connection> = (0..1500).map(|_| ors.client().connect()).collect();
    for connection in &mut many {
        assert_eq!(connection.ask(&ask).unwrap().status(), 200);
    }
}

#[test]
fn a_connection_that_does_nothing_is_closed() {
    let server = Serve::fixtures(&["alpha"])
        .set("--keep-alive", "1s")
        .set("--header-timeout", "1s")
        .start();
    let ors = server.ors();
    // One that never asks, one that asked once, one in the middle of a head.
    for bytes in [
        "",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: loc",
    ] {
        let mut connection = ors.client().connect();
        connection.set_patience(crate::SOON).unwrap();
        connection.send_raw(bytes.as_bytes()).unwrap();
        let begin = Instant::now();
        connection.read_to_end().expect("the server closes");
        assert!(begin.elapsed() > Duration::from_millis(500), "{bytes:?}");
    }
}
