//! Sessions whose data directory has changed. A change that a session has not
//! seen does not concern it. If it has seen what changed, it waits until its data
//! is as it was, and never continues silently.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use orwd_tests::artifacts::{component, components, target_dir};
use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A server of one environment with its own data directory.
struct DataServer {
    scratch: TestDir,
    address: String,
}

impl DataServer {
    fn new(keys: &str, tables: &str) -> DataServer {
        components();
        let scratch = TestDir::new();
        scratch.write("env/data/a.txt", "first");
        scratch.write("env/data/unread.txt", "not read by the session");
        scratch.copy("env/files.wasm", component("files"));
        let manifest = format!("name = \"files\"\ndata = \"data\"\n{keys}\n{tables}\n");
        scratch.write("env/orwd.toml", manifest);
        DataServer {
            scratch,
            address: "127.0.0.1:0".to_owned(),
        }
    }

    fn start(&mut self, flags: &[&str]) -> ServerProcess {
        let serve =
            ServeCommand::path(self.scratch.at("env")).set("--state", self.scratch.at("state"));
        let serve = flags.iter().fold(serve, |serve, flag| serve.flag(flag));
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    fn orwd(&self, arguments: &[&str]) -> CommandResult {
        let cache = target_dir().join("orwd-cache");
        let state = self.scratch.at("state");
        let state = ["--state", &state];
        let cache = ["--cache", cache.to_str().expect("a UTF-8 path")];
        let more: &[&str] = match arguments[0] {
            "replay" => &[state, cache].concat(),
            "export" => &state,
            _ => &cache,
        };
        OrwdCommand::new([arguments, more].concat()).run()
    }
}

fn read(session: &SessionClient, path: &str) -> String {
    session.call("read", json!({"path": path})).text()
}

fn write(session: &SessionClient, path: &str) -> String {
    session
        .call("write", json!({"path": path, "text": "x"}))
        .text()
}

/// Creates a session; returns it with the value of `X-ORWD-Resumable`.
fn created(server: &ServerProcess) -> (SessionClient, String) {
    let id = fresh_id();
    let request = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": "files", "task_spec": {}}));
    let answer = server.ors().fetch(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let resumable = answer.header("X-ORWD-Resumable").unwrap_or("").to_owned();
    (server.ors().session("files", &id), resumable)
}

#[test]
fn a_change_of_data_that_a_session_has_not_seen_does_not_concern_it() {
    let mut host = DataServer::new("", "");
    let mut server = host.start(&[]);
    let reader = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(read(&reader, "/orwd_data/a.txt"), "first");
    let missing = read(&reader, "/orwd_data/none/at/all");
    assert!(missing.starts_with("error"), "{missing}");
    server.kill();
    // An editor's file, another file's bytes, and equal bytes in a new file.
    host.scratch.write("env/data/.a.txt.swp", "half");
    host.scratch
        .write("env/data/unread.txt", "not read by the SESSION");
    host.scratch.write("env/data/new", "first");
    fs::rename(
        host.scratch.at("env/data/new"),
        host.scratch.at("env/data/a.txt"),
    )
    .unwrap();
    let mut server = host.start(&[]);
    assert_eq!(read(&reader, "/orwd_data/a.txt"), "first");
    // What it reads for the first time is what there is now.
    let unread = read(&reader, "/orwd_data/unread.txt");
    assert_eq!(unread, "not read by the SESSION");
    let replayed = host.orwd(&["replay", reader.id()]);
    let text = replayed.expect_success();
    assert!(text.contains("5 steps, 0 different"), "{replayed}");
    assert!(text.contains("unseen: its data has changed"), "{replayed}");
    server.kill();
    let _server = host.start(&[]);
    assert_eq!(read(&reader, "/orwd_data/unread.txt"), unread);
}

#[test]
fn a_session_waits_while_what_it_has_seen_differs() {
    let mut host = DataServer::new("", "");
    let mut server = host.start(&[]);
    let reader = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(read(&reader, "/orwd_data/a.txt"), "first");
    let lister = server.ors().open("files", TaskSelector::Spec(json!({})));
    let names = lister.call("list", json!({"path": "/orwd_data"})).text();
    server.kill();

    host.scratch.write("env/data/a.txt", "third");
    host.scratch.write("env/data/.a.txt.swp", "half");
    let mut server = host.start(&[]);
    for session in [&reader, &lister] {
        for _ in 0..3 {
            let refused = session.get("prompt");
            let message = error_detail(&refused, 503);
            assert!(message.contains("its data has changed"), "{message}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
    }
    let replayed = host.orwd(&["replay", reader.id()]);
    assert_eq!(replayed.code, Some(4), "{replayed}");
    assert!(
        replayed.stdout.contains("different: its data has changed"),
        "{replayed}"
    );
    // A new session uses the new data.
    let other = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(read(&other, "/orwd_data/a.txt"), "third");

    // The file that should not be there goes: the session that listed it
    // continues, also under the same server.
    fs::remove_file(host.scratch.at("env/data/.a.txt.swp")).unwrap();
    let ready = |session: &SessionClient| session.get("prompt").status() == 200;
    wait_until("the lister continues", TIMEOUT, || ready(&lister));
    assert_eq!(
        lister.call("list", json!({"path": "/orwd_data"})).text(),
        names
    );
    let message = error_detail(&reader.get("prompt"), 503);
    assert!(message.contains("its data has changed"), "{message}");
    host.scratch.write("env/data/a.txt", "first");
    wait_until("the reader continues", TIMEOUT, || ready(&reader));
    assert_eq!(read(&reader, "/orwd_data/a.txt"), "first");

    // The one that began over the other data waits for that.
    server.kill();
    let _server = host.start(&[]);
    error_detail(&other.get("prompt"), 503);
}

#[test]
fn a_session_that_has_waited_as_long_as_it_may_is_lost() {
    let mut host = DataServer::new("", "");
    let mut server = host.start(&[]);
    let session = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(read(&session, "/orwd_data/a.txt"), "first");
    server.kill();
    host.scratch.write("env/data/a.txt", "third");
    let mut server = host.start(&["--data-change-wait=0s"]);
    let message = error_detail(&session.get("prompt"), 410);
    assert!(message.contains("its data has changed"), "{message}");
    server.kill();
    // The journal still has it.
    host.scratch.write("env/data/a.txt", "first");
    let _server = host.start(&["--data-change-wait=0s"]);
    assert_eq!(read(&session, "/orwd_data/a.txt"), "first");
}

/// Data as a volume of Kubernetes mounts it: each name leads through a link to
/// the folder of the current version.
#[test]
fn a_new_version_of_a_volume_with_equal_bytes_is_equal_data() {
    let mut host = DataServer::new("", "");
    let data = host.scratch.at("env/data");
    let at = |name: &str| format!("{data}/{name}");
    let version = |name: &str, text: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(&format!("{name}/config")), text).unwrap();
        let _ = fs::remove_file(at("..data"));
        symlink(name, at("..data")).unwrap();
    };
    version("..version-1", "one");
    symlink("..data/config", at("config")).unwrap();
    let mut server = host.start(&[]);
    let session = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(read(&session, "/orwd_data/config"), "one");
    server.kill();
    version("..version-2", "one");
    fs::remove_dir_all(at("..version-1")).unwrap();
    let mut server = host.start(&[]);
    assert_eq!(read(&session, "/orwd_data/config"), "one");
    server.kill();
    version("..version-3", "two");
    let _server = host.start(&[]);
    error_detail(&session.get("prompt"), 503);
}

#[test]
fn a_data_change_applies_to_later_sessions() {
    let mut host = DataServer::new("", "");
    let mut server = host.start(&[]);
    let before = server.ors().open("files", TaskSelector::Spec(json!({})));
    host.scratch.write("env/data/new.txt", "new");
    let mut session = None;
    // The server looks for changes at intervals.
    wait_until("the change is seen", TIMEOUT, || {
        let (next, _) = created(&server);
        let receipt = |session: &SessionClient| {
            let path = format!("/orwd/sessions/{}/receipt", session.id());
            server.ors().get(&path).json()["receipt"]["data"].clone()
        };
        let seen = receipt(&next) != receipt(&before);
        session = Some(next);
        seen
    });
    server.kill();
    let _server = host.start(&[]);
    let session = session.expect("one was created");
    assert_eq!(read(&session, "/orwd_data/new.txt"), "new");
    assert_eq!(read(&before, "/orwd_data/new.txt"), "new");
}

#[test]
fn a_session_keeps_its_data_mode() {
    let mut host = DataServer::new("data-mode = \"read-only\"", "");
    let mut server = host.start(&[]);
    let session = server.ors().open("files", TaskSelector::Spec(json!({})));
    let refused = write(&session, "/orwd_data/b.txt");
    assert!(refused.starts_with("error"), "{refused}");
    assert!(
        host.orwd(&["replay", session.id()])
            .expect_success()
            .contains("2 steps, 0 different")
    );
    server.kill();
    let manifest = host.scratch.at("env/orwd.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("data-mode = \"read-only\"", "")).unwrap();
    let server = host.start(&[]);
    assert_eq!(
        write(&session, "/orwd_data/b.txt"),
        refused,
        "as when it was created"
    );
    let other = server.ors().open("files", TaskSelector::Spec(json!({})));
    assert_eq!(write(&other, "/orwd_data/b.txt"), "written");
}

const SHARED: (&str, &str) = (
    "data-mode = \"shared\"",
    "[shared]\npublish = [\"results/\"]",
);

#[test]
fn a_session_over_shared_data_waits_if_it_has_seen_what_others_published() {
    let mut host = DataServer::new(SHARED.0, SHARED.1);
    let mut server = host.start(&["--writable-data"]);
    let (quiet, resumable) = created(&server);
    assert_eq!(
        resumable,
        "no; others may publish into the data that it reads"
    );
    assert_eq!(read(&quiet, "/orwd_data/a.txt"), "first");
    let curious = server.ors().open("files", TaskSelector::Spec(json!({})));
    let missing = read(&curious, "/orwd_data/results/one");
    assert!(missing.starts_with("error"), "{missing}");
    server.kill();
    // No session published, so it can be resumed.
    let mut server = host.start(&["--writable-data"]);
    assert_eq!(read(&quiet, "/orwd_data/a.txt"), "first");
    let (other, _) = created(&server);
    other.call("make_dir", json!({"path": "/orwd_data/results"}));
    assert_eq!(write(&other, "/orwd_data/results/one"), "written");
    assert_eq!(other.delete().status(), 200);
    assert_eq!(
        fs::read_to_string(host.scratch.at("env/data/results/one")).unwrap(),
        "x"
    );
    // A live session sees the published file.
    assert_eq!(read(&quiet, "/orwd_data/results/one"), "x");
    server.kill();
    let _server = host.start(&["--writable-data"]);
    assert_eq!(read(&quiet, "/orwd_data/results/one"), "x");
    // The other one has seen that it was not there.
    let message = error_detail(&curious.get("prompt"), 503);
    assert!(message.contains("its data has changed"), "{message}");
}

#[test]
fn without_permission_nothing_is_published_after_a_restart() {
    let mut host = DataServer::new(SHARED.0, SHARED.1);
    let mut server = host.start(&["--writable-data"]);
    let (session, _) = created(&server);
    session.call("make_dir", json!({"path": "/orwd_data/results"}));
    write(&session, "/orwd_data/results/one");
    server.kill();
    let server = host.start(&[]);
    assert_eq!(session.delete().status(), 200);
    drop(server);
    assert!(!fs::exists(host.scratch.at("env/data/results")).unwrap());
}

#[test]
fn a_hibernated_session_publishes_its_files() {
    let mut host = DataServer::new(SHARED.0, SHARED.1);
    let mut server = host.start(&["--writable-data"]);
    let (session, _) = created(&server);
    session.call("make_dir", json!({"path": "/orwd_data/results"}));
    write(&session, "/orwd_data/results/one");
    server.kill();
    let server = host.start(&["--writable-data"]);
    assert_eq!(session.delete().status(), 200);
    assert_eq!(
        fs::read_to_string(host.scratch.at("env/data/results/one")).unwrap(),
        "x"
    );
    drop(server);
    // A replay publishes nothing.
    fs::remove_dir_all(host.scratch.at("env/data/results")).unwrap();
    let replayed = host.orwd(&["replay", session.id()]);
    assert!(
        replayed.expect_success().contains("4 steps, 0 different"),
        "{replayed}"
    );
    assert!(!fs::exists(host.scratch.at("env/data/results")).unwrap());
}

#[test]
fn a_receipt_names_the_data_and_is_verified_with_it() {
    let mut host = DataServer::new("", "");
    let server = host.start(&[]);
    let (session, _) = created(&server);
    assert_eq!(read(&session, "/orwd_data/a.txt"), "first");
    let answer = server
        .ors()
        .get(&format!("/orwd/sessions/{}/receipt", session.id()));
    let receipt: Value = answer.json();
    assert_eq!(
        receipt["receipt"]["data"].as_str().map(str::len),
        Some(64),
        "{receipt}"
    );
    let receipt = host.scratch.write("receipt.json", answer.text());
    let receipt = receipt.to_str().unwrap();
    let file = host.scratch.at("one.episode");
    host.orwd(&["export", session.id(), "-o", &file])
        .expect_success();
    let component = component("files").to_str().unwrap();
    let verify = |component: &str, more: &[&str]| {
        let known = [
            "verify",
            receipt,
            "--journal",
            &file,
            "--component",
            component,
        ];
        host.orwd(&[&known, more].concat())
    };
    let data = host.scratch.at("env/data");
    let host_key = OrwdCommand::new(["keys", "host", "--state", &host.scratch.at("state")]).run();
    let key = host_key.expect_success().trim();
    let fine = verify(component, &["--data", &data, "--key", key]);
    assert!(
        fine.expect_success().contains("2 of 2 steps equal"),
        "{fine}"
    );
    verify(component, &[]).expect_failure(&["--data"]);
    let other = orwd_tests::artifacts::component("chat").to_str().unwrap();
    verify(other, &["--data", &data]).expect_failure(&["is not the component"]);
    host.scratch.write("env/data/more.txt", "more");
    verify(component, &["--data", &data]).expect_failure(&["its data has changed"]);
}
