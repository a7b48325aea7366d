//! Secrets of an environment that makes requests: its guest gets placeholders, and
//! the host puts the values into the headers of requests that may have them.

use std::fs;
use std::path::Path;

use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, secrets_header};
use orwd_tests::process::{ReplayCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use super::network::{Scene, Upstream};

const VALUE: &str = "kanarienvogel-5f1c/gelb+37";

/// The same in base64 and in a URL.
const FORMS: [&str; 3] = [
    VALUE,
    "a2FuYXJpZW52b2dlbC01ZjFjL2dlbGIrMz",
    "kanarienvogel-5f1c%2Fgelb%2B37",
];

fn open(ors: &OrsClient, domains: &[&str]) -> SessionClient {
    let secrets = json!({"KEY": {"value": VALUE, "allowed_domains": domains}});
    let header = secrets_header(&secrets);
    ors.open_with(
        "judge",
        TaskSelector::At("train", 0),
        &[("X-Secrets", &header)],
    )
}

/// Sends a request with the secret in a header.
fn send(session: &SessionClient, url: &str) -> String {
    let headers = json!([["Authorization", "Bearer $KEY"]]);
    session
        .call("send", json!({"urls": [url], "headers": headers}))
        .text()
}

/// Whether the memory of the guest has the value.
fn in_memory(session: &SessionClient) -> String {
    let masked: Vec<u8> = VALUE.bytes().map(|byte| byte ^ 0x5a).collect();
    session.call("memory", json!({ "masked": masked })).text()
}

fn has_value(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    FORMS.iter().any(|form| text.contains(form))
}

/// Searches every file below a directory.
fn search(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            assert!(!has_value(&bytes), "{} has it", path.display());
        }
    }
}

/// Searches what the server and its broker show of themselves and have written.
fn search_all(server: &ServerProcess, scene: &Scene) {
    let broker = super::network::broker(server);
    for process in [server.pid().to_string(), broker.to_string()] {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{process}/{file}");
            assert!(!has_value(&fs::read(&path).unwrap_or_default()), "{path}");
        }
    }
    for path in ["/version", "/metrics"] {
        let shown = server.ors().get(path);
        assert!(!has_value(shown.text().as_bytes()), "{path}");
    }
    // The broker writes its messages there too.
    assert!(!has_value(server.log().as_bytes()), "{}", server.log());
    search(scene.scratch.path());
}

#[test]
fn a_guest_with_a_grant_gets_a_placeholder_and_the_host_sends_the_value() {
    let upstream = Upstream::start();
    let rule = upstream.url("");
    let mut scene = Scene::new(&rule, &[format!("judge={rule}")]);
    let key = scene.scratch.write("seal-key", "5a".repeat(32));
    let start = |scene: &Scene| {
        let serve = scene.command().set("--seal-key", &key);
        serve.set("--log", "trace").start_at(&scene.address)
    };
    let mut server = start(&scene);
    let session = open(&server.ors(), &["127.0.0.1"]);
    let placeholder = session.call("key", json!({})).text();
    assert!(
        placeholder.starts_with("__SECRET:") && placeholder.ends_with(":KEY__"),
        "{placeholder}"
    );
    // The server echoes the header, in all of which the value is redacted.
    let echoed = send(&session, &upstream.url("/echo"));
    let sent = format!("authorization: Bearer {VALUE}\r\n");
    assert!(
        upstream.asked()[0].contains(&sent),
        "{:?}",
        upstream.asked()
    );
    assert!(
        echoed.contains("authorization: Bearer [secret]\r\n"),
        "{echoed}"
    );
    assert_eq!(in_memory(&session), "false");
    search_all(&server, &scene);

    // Not to a host that its owner did not name.
    let elsewhere = open(&server.ors(), &["api.example.com"]);
    let refused = send(&elsewhere, &upstream.url("/echo"));
    assert!(
        refused.starts_with("NotGranted: ") && refused.contains("allowed_domains"),
        "{refused}"
    );
    assert_eq!(upstream.asked().len(), 1);

    // The session resumes with the same placeholder, and so does a fork.
    server.kill();
    let server = start(&scene);
    let path = format!("/orwd/sessions/{}/fork", session.id());
    let forked = server.ors().post(&path, &json!({})).json();
    let child = forked["sessions"][0].as_str().expect("a child").to_owned();
    let child = server.ors().session("judge", &child);
    for session in [&session, &child] {
        assert_eq!(
            session.call("key", json!({})).text(),
            placeholder,
            "{}",
            server.log()
        );
        assert!(send(session, &upstream.url("/echo")).contains("Bearer [secret]"));
        assert!(upstream.asked().last().unwrap().contains(&sent));
        assert_eq!(in_memory(session), "false");
    }
    search_all(&server, &scene);
    let replay = ReplayCommand::new(session.id(), &scene.scratch.at("state"));
    replay.seal_key(&"5a".repeat(32)).expect_no_difference();

    // Without the grant nothing is sent, and the guest still has no value.
    drop(server);
    scene.flags.clear();
    let _server = start(&scene);
    assert_eq!(session.call("key", json!({})).text(), placeholder);
    assert!(send(&session, &upstream.url("/echo")).starts_with("NotGranted: "));
}

#[test]
fn a_guest_gets_the_value_if_its_manifest_asks_and_its_operator_consents() {
    let upstream = Upstream::start();
    let rule = upstream.url("");
    let tables = format!("[network]\nallow = [{rule:?}]\nsecrets-in-guest = true");
    let allowed = [format!("judge={rule}")];
    let scene = Scene::of_tables(&tables, TestDir::new(), &allowed);
    let key = scene.scratch.write("seal-key", "5a".repeat(32));
    let start = |consents: bool| {
        let mut serve = scene.command().set("--seal-key", &key);
        if consents {
            serve = serve.set("--secrets-in-guest", "judge");
        }
        serve.start_at(&scene.address)
    };
    let server = start(true);
    let session = open(&server.ors(), &[]);
    assert_eq!(session.call("key", json!({})).text(), VALUE);
    assert_eq!(
        in_memory(&session),
        "true",
        "the search finds what is there"
    );
    assert!(send(&session, &upstream.url("/")).starts_with("200 "));
    drop(server);

    // Without the consent new sessions get placeholders, and the guest that has the
    // value sends nothing.
    let server = start(false);
    assert_eq!(
        session.call("key", json!({})).text(),
        VALUE,
        "{}",
        server.log()
    );
    let refused = send(&session, &upstream.url("/"));
    assert!(refused.starts_with("NotGranted: "), "{refused}");
    let hidden = open(&server.ors(), &["127.0.0.1"]);
    assert!(
        hidden
            .call("key", json!({}))
            .text()
            .starts_with("__SECRET:")
    );
    assert!(send(&hidden, &upstream.url("/")).starts_with("200 "));
    assert_eq!(upstream.asked().len(), 2);
    drop(server);

    // The consent alone is a mistake of the operator.
    let scene = Scene::new(&rule, &allowed);
    let refused = scene.command().set("--secrets-in-guest", "judge");
    refused
        .command()
        .run()
        .expect_failure(&["secrets-in-guest = true"]);
}

#[test]
fn an_environment_that_requests_nothing_gets_values_as_before() {
    let scene = Scene::new("", &[]);
    let server = scene.start();
    let session = open(&server.ors(), &["127.0.0.1"]);
    assert_eq!(session.call("key", json!({})).text(), VALUE);
    let shown: Value = server.ors().get("/version").json();
    assert!(!has_value(shown.to_string().as_bytes()));
}
