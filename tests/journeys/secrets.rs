//! A secret goes to the session that it came with and nowhere else: after
//! everything that can be done with it, it is in nothing that the host wrote,
//! neither as it is nor in any of the forms that code gives it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use orwd_tests::expect::detail;
use orwd_tests::http::{Request, Response};
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Ors, SESSION_HEADER, Task, fresh_id, secrets_header};
use orwd_tests::scratch::Scratch;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{SOON, folder, serve};

/// What is nowhere else, with characters that every encoding writes otherwise.
const CANARY: &str = "kanarienvogel-5f1c/\"gelb\"+grün?&=% ~37";

/// The same, in lines.
const KEYFILE: &str =
    "-----BEGIN CANARY KEY-----\nkanarienvogel/8QzZr+T0pf3XkLw\n-----END CANARY KEY-----\n";

/// A secret in the forms in which it might be found.
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
    // In the middle of something encoded a value begins at one of three places.
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

/// The forms of any secret that are in these bytes.
fn found(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let secrets = [CANARY, KEYFILE, KEYFILE.trim(), "kanarienvogel"];
    let forms = secrets.into_iter().flat_map(forms);
    forms.filter(|form| text.contains(form)).collect()
}

/// Every file below a folder.
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

fn create(ors: &Ors, header: &str, body: impl Into<Vec<u8>>) -> Response {
    let request = Request::post("/create")
        .header(SESSION_HEADER, fresh_id())
        .header("X-Secrets", header)
        .header("Content-Type", "application/json")
        .body(body);
    ors.ask(&request)
}

/// Requests that carry the secret and are refused.
fn refusals(ors: &Ors) {
    let encoded = |text: &str| STANDARD_NO_PAD.encode(text);
    let whole = secrets().to_string();
    let task = r#"{"env_name": "leaky", "task_spec": {}}"#;
    for header in [
        &whole[..whole.len() - 1],
        &whole.replace("value", "valve"),
        &json!({ "CANARY": CANARY }).to_string(),
        &json!([CANARY]).to_string(),
        CANARY,
    ] {
        let told = detail(&create(ors, &encoded(header), task), 500);
        assert!(!told.contains("kanarienvogel"), "{told}");
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
            json!({"env_name": "leaky", "split": "train", "index": 99}).to_string(),
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
        Request::get("/list_environments").header("X-API-Key", STANDARD_NO_PAD.encode(CANARY)),
        Request::get("/list_environments")
            .header("Authorization", format!("Bearer {}", forms(CANARY)[4])),
        Request::get(&format!("/tools?key={}", forms(CANARY)[6])),
        Request::post("/leaky/tasks").json(&json!({"split": CANARY})),
        Request::post("/leaky/tasks").json(&json!({ "split": {CANARY: 1} })),
    ] {
        ors.ask(&request);
    }
}

/// Heads that carry the secret and cannot be read, or not in one way.
fn broken_heads(ors: &Ors) {
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
        let answer = ors.client().ask_raw(request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{request:?}");
    }
    let line = format!("POST {header} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ors.client().ask_raw(line.as_bytes());
    ors.client().ask_raw(format!("{CANARY}\r\n\r\n").as_bytes());
}

/// Sessions whose guest gives its secrets away.
fn sessions(ors: &Ors) {
    let header = secrets_header(&secrets());
    let open = |spec: Value| {
        let headers = [("X-Secrets", &*header)];
        ors.open_with("leaky", Task::Spec(spec), &headers)
    };
    let session = open(json!({}));
    assert_eq!(session.get("prompt").status(), 200);
    let given = session.call("give", json!({})).text();
    assert_eq!(
        given,
        format!("{CANARY}\n{KEYFILE}"),
        "its owner may have it"
    );
    session.call("print", json!({"unknown": CANARY}));
    session.call(CANARY, json!({}));
    assert!(session.call("fail", json!({})).error().contains(CANARY));
    assert_eq!(session.call("keep", json!({})).text(), "kept");
    let panicked = session.call("panic", json!({}));
    assert!(
        panicked.error().contains("kanarienvogel"),
        "its last words are for its owner: {}",
        panicked.error()
    );
    detail(&session.get("prompt"), 410);
    drop(session);

    let body = json!({"env_name": "leaky", "task_spec": {"where": "open"}});
    let told = detail(&create(ors, &header, body.to_string()), 500);
    assert!(
        told.contains(CANARY),
        "to its owner a guest may say what it will"
    );
    for place in ["setup", "prompt"] {
        let session = open(json!({ "where": place }));
        let told = detail(&session.get("prompt"), 500);
        assert!(told.contains(CANARY), "{told}");
    }
    let session = open(json!({"where": "teardown"}));
    session.call("print", json!({}));
    assert_eq!(session.delete().status(), 200);
}

#[test]
fn a_secret_is_in_nothing_that_the_host_wrote() {
    for sealing in [false, true] {
        search_all_that_a_host_wrote(sealing);
    }
}

/// Lets a host do everything, with or without a key to seal what it keeps.
fn search_all_that_a_host_wrote(sealing: bool) {
    let scratch = Scratch::new();
    let keys = "secrets = [\"CANARY\", \"KEYFILE\"]\ndata = \"data\"\ndata-mode = \"shared\"";
    scratch.write("leaky/data/file", "data");
    let leaky = folder(
        &scratch,
        "leaky",
        "leaky",
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
        .start_after(&format!(
            "export RUST_LOG=trace RUST_BACKTRACE=full TMPDIR={:?}",
            scratch.at("tmp")
        ));
    let ors = server.ors();
    refusals(&ors);
    broken_heads(&ors);
    sessions(&ors);
    assert!(found(ors.get("/version").text().as_bytes()).is_empty());
    // One that goes on, so that its journal does.
    let header = secrets_header(&secrets());
    let open = ors.open_with("leaky", Task::Spec(json!({})), &[("X-Secrets", &*header)]);
    open.call("give", json!({ "unknown": CANARY }));
    let key = [("Idempotency-Key", "a-key")];
    let body = json!({"name": "give", "input": {"unknown": CANARY}});
    let request = open.post_request("call", &body).header(key[0].0, key[0].1);
    assert!(ors.transcript(&request).text().contains(CANARY));
    search(&scratch);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0));

    let log = server.log();
    let forms = found(log.as_bytes());
    let lines = log.lines();
    let lines: Vec<&str> = lines
        .filter(|line| forms.iter().any(|form| line.contains(form)))
        .collect();
    assert!(forms.is_empty(), "{forms:?} in the log: {lines:#?}");
    let marks =
        log.matches("the key is [secret]").count() + log.matches("the key is \"[secret]").count();
    assert!(marks >= 40, "the guest printed it, {marks} times:\n{log}");
    for part in ["open refused", "setup refused", "refused: "] {
        let told = log.lines().find(|line| line.contains(part));
        assert!(
            told.is_none_or(|line| line.contains("[secret]")),
            "{told:?}"
        );
    }
    search(&scratch);
    open.forget();
}

/// Looks for it in every file, the directory of state among them.
fn search(scratch: &Scratch) {
    let mut searched = Vec::new();
    files(scratch.path(), &mut |path| {
        searched.push(path.file_name().unwrap().to_owned());
        // SQLite may have removed one of its files in the meantime.
        let bytes = fs::read(path).unwrap_or_default();
        let forms = found(&bytes);
        assert!(forms.is_empty(), "{} holds {forms:?}", path.display());
    });
    assert!(
        searched.iter().any(|name| name == "journal.db") && searched.len() > 4,
        "code, data, manifest and journal are there: {searched:?}"
    );
}

#[test]
fn the_search_finds_every_form() {
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
    let scratch = Scratch::new();
    let one = folder(&scratch, "one", "alpha", "secrets = [\"K\"]", "");
    let none = folder(&scratch, "none", "alpha", "", "");
    let server = serve(one).and(none).flag("--no-build").start();
    let ors = server.ors();
    let sent = json!({
        "K": {"value": "v1"}, "k": {"value": "v2"}, "api_key": {"value": "v3"},
        "OPENREWARD_API_KEY": {"value": "v3"}, "FISH\ned": {"value": "v4"},
    });
    let header = secrets_header(&sent);
    let told = |environment: &str, name: &str| {
        let session = ors.open_with(
            environment,
            Task::Spec(json!({})),
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
        assert_eq!(told(environment, name), expected, "{environment} {name}");
    }
    // Whoever misses one learns why, and of what every client sends nothing.
    let note = "does not declare were not handed over";
    wait_until("the last note is in the log", SOON, || {
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
