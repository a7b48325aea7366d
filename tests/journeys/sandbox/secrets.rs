//! A secret reaches its own session only: whatever a guest and a client do with
//! it, nothing that the host writes contains it, plain or in any encoding.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, TaskSelector, fresh_id, secrets_header};
use orwd_tests::process::OrwdCommand;
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{TIMEOUT, environment_dir, serve};

/// A unique secret, with characters that encodings escape.
const CANARY: &str = "kanarienvogel-5f1c/\"gelb\"+grün?&=% ~37";

/// A unique secret of several lines.
const KEYFILE: &str =
    "-----BEGIN CANARY KEY-----\nkanarienvogel/8QzZr+T0pf3XkLw\n-----END CANARY KEY-----\n";

/// Returns a secret in every encoding in which it might be written.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each =
        |write: &dyn Fn(u8) -> String| -> String { bytes.iter().map(|b| write(*b)).collect() };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let in_json = serde_json::to_string(secret).unwrap();
    let in_json = in_json.trim_matches('"').to_owned();
    let mut forms = vec![
        secret.to_owned(),
        in_json.replace('\\', "\\\\"),
        in_json,
        format!("{secret:?}").trim_matches('"').to_owned(),
        each(&|b| format!("{b:02x}")),
        each(&|b| format!("{b:02X}")),
        each(&|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        }),
        each(&|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02x}")
            }
        }),
        each(&|b| format!("{b}, ")),
    ];
    let (mut ascii, mut all) = (String::new(), String::new());
    for unit in secret.encode_utf16() {
        write!(all, "\\u{unit:04x}").unwrap();
        match u8::try_from(unit) {
            Ok(b) if b.is_ascii() => ascii.push(char::from(b)),
            _ => write!(ascii, "\\u{unit:04x}").unwrap(),
        }
    }
    forms.extend([ascii, all.to_uppercase().replace('U', "u"), all]);
    // Within base64, a value starts at one of three offsets.
    for (before, unclear) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [&[0; 2][..before], bytes].concat();
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            forms.push(text[unclear..padded.len() * 8 / 6].to_owned());
        }
    }
    forms
}

/// Returns the encodings of any secret that these bytes contain.
fn found(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let secrets = [CANARY, KEYFILE, KEYFILE.trim(), "kanarienvogel"];
    let forms = secrets.into_iter().flat_map(forms);
    forms.filter(|form| text.contains(form)).collect()
}

/// Visits every file below a directory.
fn files(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, each);
        } else {
            each(&path);
        }
    }
}

fn secrets() -> Value {
    json!({"CANARY": {"value": CANARY}, "KEYFILE": {"value": KEYFILE}})
}

fn create(ors: &OrsClient, header: &str, body: impl Into<Vec<u8>>) -> HttpResponse {
    let request = HttpRequest::post("/create")
        .header(SESSION_HEADER, fresh_id())
        .header("X-Secrets", header)
        .header("Content-Type", "application/json")
        .body(body);
    ors.fetch(&request)
}

/// Sends requests that carry the secret and are refused.
fn refusals(ors: &OrsClient) {
    let encoded = |text: &str| STANDARD_NO_PAD.encode(text);
    let whole = secrets().to_string();
    let task = r#"{"env_name": "secret-leak", "task_spec": {}}"#;
    for header in [
        &whole[..whole.len() - 1],
        &whole.replace("value", "valve"),
        &json!({ "CANARY": CANARY }).to_string(),
        &json!([CANARY]).to_string(),
        CANARY,
    ] {
        let detail = error_detail(&create(ors, &encoded(header), task), 500);
        assert!(!detail.contains("kanarienvogel"), "{detail}");
    }
    create(ors, &secrets_header(&secrets())[1..], task);
    let header = secrets_header(&secrets());
    for (body, status) in [
        (
            json!({"task_spec": {}, "secrets": secrets()}).to_string(),
            422,
        ),
        (json!({"task_spec": CANARY}).to_string(), 422),
        (
            json!({"env_name": [CANARY], "task_spec": {}}).to_string(),
            422,
        ),
        (format!("{{\"secrets\": {CANARY}"), 422),
        (
            json!({"task_spec": {}, "toolset_name": "none"}).to_string(),
            400,
        ),
        (
            json!({"env_name": "nosuch", "task_spec": {}}).to_string(),
            404,
        ),
        (
            json!({"env_name": "secret-leak", "split": "train", "index": 99}).to_string(),
            400,
        ),
        ("\u{0}".to_owned() + CANARY, 422),
    ] {
        assert_eq!(
            create(ors, &header, body.clone()).status(),
            status,
            "{body}"
        );
    }
    for request in [
        HttpRequest::get("/list_environments").header("X-API-Key", STANDARD_NO_PAD.encode(CANARY)),
        HttpRequest::get("/list_environments")
            .header("Authorization", format!("Bearer {}", forms(CANARY)[4])),
        HttpRequest::get(&format!("/tools?key={}", forms(CANARY)[6])),
        HttpRequest::post("/secret-leak/tasks").json(&json!({"split": CANARY})),
        HttpRequest::post("/secret-leak/tasks").json(&json!({ "split": {CANARY: 1} })),
    ] {
        ors.fetch(&request);
    }
}

/// Sends malformed and ambiguous request heads that carry the secret.
fn broken_heads(ors: &OrsClient) {
    let header = secrets_header(&secrets());
    for fields in [
        format!("X-Secrets : {header}\r\n"),
        format!("X-Secrets: {header}\r\n {header}\r\n"),
        format!("X-Secrets: {header}\0\r\n"),
        format!("{header}\r\n"),
        format!("Content-Length: {header}\r\n"),
        format!("Content-Length: 1\r\nTransfer-Encoding: chunked\r\nX-Secrets: {header}\r\n"),
    ] {
        let request = format!("POST /create HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let answer = ors.client().send_raw_and_read(request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{request:?}");
    }
    let line = format!("POST {header} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ors.client().send_raw_and_read(line.as_bytes());
    ors.client()
        .send_raw_and_read(format!("{CANARY}\r\n\r\n").as_bytes());
}

/// Runs sessions whose guest leaks its secrets.
fn sessions(ors: &OrsClient) {
    let header = secrets_header(&secrets());
    let open = |spec: Value| {
        let headers = [("X-Secrets", &*header)];
        ors.open_with("secret-leak", TaskSelector::Spec(spec), &headers)
    };
    let session = open(json!({}));
    assert_eq!(session.get("prompt").status(), 200);
    let given = session.call("give", json!({})).text();
    assert_eq!(
        given,
        format!("{CANARY}\n{KEYFILE}"),
        "its owner may see it"
    );
    session.call("print", json!({"unknown": CANARY}));
    session.call(CANARY, json!({}));
    assert!(session.call("fail", json!({})).error().contains(CANARY));
    assert_eq!(session.call("keep", json!({})).text(), "kept");
    let panicked = session.call("panic", json!({}));
    assert!(
        panicked.error().contains("kanarienvogel"),
        "the guest's message is for its owner: {}",
        panicked.error()
    );
    error_detail(&session.get("prompt"), 410);
    drop(session);

    let body = json!({"env_name": "secret-leak", "task_spec": {"where": "open"}});
    let detail = error_detail(&create(ors, &header, body.to_string()), 500);
    assert!(
        detail.contains(CANARY),
        "a guest may report anything to its owner"
    );
    for place in ["setup", "prompt"] {
        let session = open(json!({ "where": place }));
        let detail = error_detail(&session.get("prompt"), 500);
        assert!(detail.contains(CANARY), "{detail}");
    }
    let session = open(json!({"where": "teardown"}));
    session.call("print", json!({}));
    assert_eq!(session.delete().status(), 200);
}

#[test]
fn nothing_that_the_host_writes_contains_a_secret() {
    for sealing in [false, true] {
        search_everything_written(sealing);
    }
}

/// Exercises a server, with or without a seal key, and searches its output.
fn search_everything_written(sealing: bool) {
    let scratch = TestDir::new();
    let keys = "secrets = [\"CANARY\", \"KEYFILE\"]\ndata = \"data\"\ndata-mode = \"shared\"";
    scratch.write("secret-leak/data/file", "data");
    let leaky = environment_dir(
        &scratch,
        "secret-leak",
        "secret-leak",
        keys,
        "[shared]\npublish = [\"results/\"]",
    );
    fs::create_dir(scratch.at("tmp")).unwrap();
    let key = scratch.write("seal-key", "5a".repeat(32));
    let mut start = serve(leaky);
    if sealing {
        start = start.set("--seal-key", key);
    }
    let mut server = start
        .flag("--no-build")
        .flag("--writable-data")
        .set("--state", scratch.at("state"))
        .set("--cache", scratch.at("cache"))
        .set("--log", "trace")
        .set("--guest-log-limit", "1MiB")
        .start_in_shell(&format!(
            "export RUST_LOG=trace RUST_BACKTRACE=full TMPDIR={:?}",
            scratch.at("tmp")
        ));
    let ors = server.ors();
    refusals(&ors);
    broken_heads(&ors);
    sessions(&ors);
    assert!(found(ors.get("/version").text().as_bytes()).is_empty());
    // A session that stays open, so that the journal keeps it.
    let header = secrets_header(&secrets());
    let open = ors.open_with(
        "secret-leak",
        TaskSelector::Spec(json!({"token": CANARY, "nested": [{CANARY: KEYFILE}]})),
        &[("X-Secrets", &*header)],
    );
    open.call("give", json!({ "unknown": CANARY }));
    let key = ("Idempotency-Key", "kanarienvogel-5f1c");
    let body = json!({"name": "give", "input": {"unknown": CANARY}});
    let request = open.post_request("call", &body).header(key.0, key.1);
    let given = ors.transcript(&request);
    assert!(given.text().contains(CANARY));
    // The key still names the call.
    assert_eq!(ors.transcript(&request).task_id(), given.task_id());
    for path in ["", "/receipt"] {
        let seen = ors.get(&format!("/orwd/sessions/{}{path}", open.id()));
        assert_eq!(seen.status(), 200);
        assert!(found(seen.text().as_bytes()).is_empty(), "{}", seen.text());
    }
    search(&scratch);
    // The exported file is searched with all others.
    let exported = OrwdCommand::new(["export", open.id(), "--state", &scratch.at("state")])
        .current_dir(scratch.path())
        .run();
    let said = exported.expect_success();
    assert!(
        said.contains(" 0 receipts"),
        "its rewards are sealed: {said}"
    );
    search(&scratch);
    if sealing {
        let forked = ors.post(&format!("/orwd/sessions/{}/fork", open.id()), &json!({}));
        let child = forked.json()["sessions"][0].as_str().unwrap().to_owned();
        let child = ors.session("secret-leak", &child);
        assert!(child.call("give", json!({})).text().contains(CANARY));
        search(&scratch);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0));

    let log = server.log();
    let forms = found(log.as_bytes());
    let lines = log.lines();
    let lines: Vec<&str> = lines
        .filter(|line| forms.iter().any(|form| line.contains(form)))
        .collect();
    assert!(forms.is_empty(), "{forms:?} in the log: {lines:#?}");
    let marks =
        log.matches("the key is [secret]").count() + log.matches("the key is \"[secret]").count();
    assert!(marks >= 40, "the guest printed it {marks} times:\n{log}");
    for part in ["open refused", "setup refused", "refused: "] {
        let detail = log.lines().find(|line| line.contains(part));
        assert!(
            detail.is_none_or(|line| line.contains("[secret]")),
            "{detail:?}"
        );
    }
    search(&scratch);
    open.leave_open();
}

/// Searches every file, the state directory included.
fn search(scratch: &TestDir) {
    let mut searched = Vec::new();
    files(scratch.path(), &mut |path| {
        searched.push(path.file_name().unwrap().to_owned());
        // SQLite may have removed one of its files by now.
        let bytes = fs::read(path).unwrap_or_default();
        let forms = found(&bytes);
        assert!(forms.is_empty(), "{} holds {forms:?}", path.display());
    });
    assert!(
        searched.iter().any(|name| name == "journal.db") && searched.len() > 4,
        "code, data, manifest and journal were searched: {searched:?}"
    );
}

#[test]
fn the_search_finds_every_encoding() {
    for secret in [CANARY, KEYFILE] {
        for form in forms(secret) {
            let text = format!("…{form}…");
            assert!(found(text.as_bytes()).contains(&form), "{form}");
        }
        for around in ["", "u", "us", "usr"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{around}{secret}{around}"));
            assert!(!found(encoded.as_bytes()).is_empty(), "{around:?}");
        }
    }
    assert!(found(b"canary").is_empty());
}

#[test]
fn an_environment_gets_the_secrets_that_its_manifest_declares() {
    let scratch = TestDir::new();
    let one = environment_dir(&scratch, "one", "alpha", "secrets = [\"K\"]", "");
    let none = environment_dir(&scratch, "none", "alpha", "", "");
    let server = serve(one).and_path(none).flag("--no-build").start();
    let ors = server.ors();
    let sent = json!({
        "K": {"value": "v1"}, "k": {"value": "v2"}, "api_key": {"value": "v3"},
        "OPENREWARD_API_KEY": {"value": "v3"}, "FISH\ned": {"value": "v4"},
    });
    let header = secrets_header(&sent);
    let detail = |environment: &str, name: &str| {
        let session = ors.open_with(
            environment,
            TaskSelector::Spec(json!({})),
            &[("X-Secrets", &header)],
        );
        session.call("secret", json!({ "name": name })).text()
    };
    for (environment, name, expected) in [
        ("one", "K", "v1"),
        ("one", "k", "<absent>"),
        ("one", "api_key", "<absent>"),
        ("one", "OPENREWARD_API_KEY", "<absent>"),
        ("none", "K", "<absent>"),
        ("none", "FISH\ned", "<absent>"),
    ] {
        assert_eq!(detail(environment, name), expected, "{environment} {name}");
    }
    // The log says why a secret is missing, except for those that every client
    // sends.
    let note = "undeclared secrets withheld";
    wait_until("the last note is in the log", TIMEOUT, || {
        server.log().matches(note).count() == 6
    });
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(note));
    for line in lines {
        assert!(
            line.contains("'FISH\\\\n") || line.contains("'FISH\\n"),
            "{line}"
        );
        assert!(!line.contains("api_key") && !line.contains("v1"), "{line}");
    }
}
