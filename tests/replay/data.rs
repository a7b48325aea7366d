//! Sessions over data that is not what it was: they are lost, with the data
//! named, and never go on as if nothing had happened.

use std::fs;

use orwd_tests::artifacts::{component, components, target_dir};
use orwd_tests::command::{Ended, Orwd};
use orwd_tests::expect::detail;
use orwd_tests::http::Request;
use orwd_tests::ors::{SESSION_HEADER, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use serde_json::{Value, json};

/// One environment that reads and writes files, on a directory of its own.
struct House {
    scratch: Scratch,
    address: String,
}

impl House {
    fn new(keys: &str, tables: &str) -> House {
        components();
        let scratch = Scratch::new();
        scratch.write("env/data/a.txt", "first");
        scratch.write("env/data/unread.txt", "nobody reads this");
        let component = json!(component("files").to_str().expect("a UTF-8 path"));
        let manifest = format!(
            "name = \"files\"\ndata = \"data\"\n{keys}\n[build]\ncomponent = {component}\n{tables}\n"
        );
        scratch.write("env/orwd.toml", manifest);
        House {
            scratch,
            address: "127.0.0.1:0".to_owned(),
        }
    }

    fn start(&mut self, flags: &[&str]) -> Server {
        let serve = Serve::path(self.scratch.at("env")).set("--state", self.scratch.at("state"));
        let serve = flags.iter().fold(serve, |serve, flag| serve.flag(flag));
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    fn orwd(&self, arguments: &[&str]) -> Ended {
        let cache = target_dir().join("orwd-cache");
        let state = self.scratch.at("state");
        let state = ["--state", &state];
        let cache = ["--cache", cache.to_str().expect("a UTF-8 path")];
        let more: &[&str] = match arguments[0] {
            "replay" => &[state, cache].concat(),
            "export" => &state,
            _ => &cache,
        };
        Orwd::new([arguments, more].concat()).run()
    }
}

fn read(session: &Session, path: &str) -> String {
    session.call("read", json!({"path": path})).text()
}

fn write(session: &Session, path: &str) -> String {
    session
        .call("write", json!({"path": path, "text": "x"}))
        .text()
}

/// What `/create` says of whether the session comes back.
fn created(server: &Server) -> (Session, String) {
    let id = fresh_id();
    let request = Request::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": "files", "task_spec": {}}));
    let answer = server.ors().ask(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let resumable = answer.header("X-ORWD-Resumable").unwrap_or("").to_owned();
    (server.ors().session("files", &id), resumable)
}

#[test]
fn a_session_is_lost_when_its_data_is_not_what_it_was_and_comes_back_with_it() {
    let mut house = House::new("", "");
    let mut server = house.start(&[]);
    let session = server.ors().open("files", Task::Spec(json!({})));
    assert_eq!(read(&session, "/orwd_data/a.txt"), "first");
    server.kill();
    // Not one byte that it read is another, and yet what it will read may be.
    let unread = house.scratch.at("env/data/unread.txt");
    fs::write(&unread, "nobody reads that").unwrap();
    let mut server = house.start(&[]);
    let told = detail(&session.get("prompt"), 410);
    assert!(told.contains("its data is not what it was"), "{told}");
    let replayed = house.orwd(&["replay", session.id()]);
    assert_eq!(replayed.code, Some(4), "{replayed}");
    assert!(
        replayed.stdout.contains("its data is not what it was"),
        "{replayed}"
    );
    assert!(
        replayed.stdout.contains("2 steps, 1 different"),
        "{replayed}"
    );
    // A new one is at home on the new data.
    let other = server.ors().open("files", Task::Spec(json!({})));
    assert_eq!(read(&other, "/orwd_data/unread.txt"), "nobody reads that");
    server.kill();
    let mut server = house.start(&[]);
    assert_eq!(read(&other, "/orwd_data/a.txt"), "first");
    server.kill();

    fs::write(&unread, "nobody reads this").unwrap();
    let _server = house.start(&[]);
    assert_eq!(read(&session, "/orwd_data/a.txt"), "first");
    let told = detail(&other.get("prompt"), 410);
    assert!(told.contains("its data is not what it was"), "{told}");
}

#[test]
fn data_that_changes_under_a_server_counts_for_the_sessions_that_follow() {
    let mut house = House::new("", "");
    let mut server = house.start(&[]);
    let before = server.ors().open("files", Task::Spec(json!({})));
    house.scratch.write("env/data/new.txt", "new");
    let after = orwd_tests::later::wait_until;
    let mut session = None;
    // It is looked for a change so seldom that this costs next to nothing.
    after(
        "the change is seen",
        std::time::Duration::from_secs(30),
        || {
            let (next, _) = created(&server);
            let receipt = |session: &Session| {
                let path = format!("/orwd/sessions/{}/receipt", session.id());
                server.ors().get(&path).json()["receipt"]["data"].clone()
            };
            let seen = receipt(&next) != receipt(&before);
            session = Some(next);
            seen
        },
    );
    server.kill();
    let _server = house.start(&[]);
    let session = session.expect("one was created");
    assert_eq!(read(&session, "/orwd_data/new.txt"), "new");
    let told = detail(&before.get("prompt"), 410);
    assert!(told.contains("its data is not what it was"), "{told}");
}

#[test]
fn a_session_keeps_the_mode_that_it_began_with() {
    let mut house = House::new("data-mode = \"read-only\"", "");
    let mut server = house.start(&[]);
    let session = server.ors().open("files", Task::Spec(json!({})));
    let refused = write(&session, "/orwd_data/b.txt");
    assert!(refused.starts_with("error"), "{refused}");
    assert!(
        house
            .orwd(&["replay", session.id()])
            .succeeds()
            .contains("2 steps, 0 different")
    );
    server.kill();
    let manifest = house.scratch.at("env/orwd.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("data-mode = \"read-only\"", "")).unwrap();
    let server = house.start(&[]);
    assert_eq!(
        write(&session, "/orwd_data/b.txt"),
        refused,
        "as when it began"
    );
    let other = server.ors().open("files", Task::Spec(json!({})));
    assert_eq!(write(&other, "/orwd_data/b.txt"), "written");
}

const SHARED: (&str, &str) = (
    "data-mode = \"shared\"",
    "[shared]\npublish = [\"results/\"]",
);

#[test]
fn a_session_over_shared_data_says_so_and_is_lost_when_others_published() {
    let mut house = House::new(SHARED.0, SHARED.1);
    let mut server = house.start(&["--writable-data"]);
    let (quiet, resumable) = created(&server);
    assert_eq!(
        resumable,
        "no; others may publish into the data that it reads"
    );
    assert_eq!(read(&quiet, "/orwd_data/a.txt"), "first");
    server.kill();
    // Nobody did, so that it can go on all the same.
    let mut server = house.start(&["--writable-data"]);
    assert_eq!(read(&quiet, "/orwd_data/a.txt"), "first");
    let (other, _) = created(&server);
    other.call("make_dir", json!({"path": "/orwd_data/results"}));
    assert_eq!(write(&other, "/orwd_data/results/one"), "written");
    assert_eq!(other.delete().status(), 200);
    assert_eq!(
        fs::read_to_string(house.scratch.at("env/data/results/one")).unwrap(),
        "x"
    );
    // It lives, and sees what the other left.
    assert_eq!(read(&quiet, "/orwd_data/results/one"), "x");
    server.kill();
    let _server = house.start(&["--writable-data"]);
    let told = detail(&quiet.get("prompt"), 410);
    assert!(told.contains("its data is not what it was"), "{told}");
}

#[test]
fn what_may_be_published_no_more_stays_with_the_session() {
    let mut house = House::new(SHARED.0, SHARED.1);
    let mut server = house.start(&["--writable-data"]);
    let (session, _) = created(&server);
    session.call("make_dir", json!({"path": "/orwd_data/results"}));
    write(&session, "/orwd_data/results/one");
    server.kill();
    let server = house.start(&[]);
    assert_eq!(session.delete().status(), 200);
    drop(server);
    assert!(!fs::exists(house.scratch.at("env/data/results")).unwrap());
}

#[test]
fn what_a_session_wrote_is_published_though_it_slept_since_the_start() {
    let mut house = House::new(SHARED.0, SHARED.1);
    let mut server = house.start(&["--writable-data"]);
    let (session, _) = created(&server);
    session.call("make_dir", json!({"path": "/orwd_data/results"}));
    write(&session, "/orwd_data/results/one");
    server.kill();
    let server = house.start(&["--writable-data"]);
    assert_eq!(session.delete().status(), 200);
    assert_eq!(
        fs::read_to_string(house.scratch.at("env/data/results/one")).unwrap(),
        "x"
    );
    drop(server);
    // A replay publishes nothing, and says that the data is another since.
    fs::remove_dir_all(house.scratch.at("env/data/results")).unwrap();
    let replayed = house.orwd(&["replay", session.id()]);
    assert!(
        replayed.succeeds().contains("4 steps, 0 different"),
        "{replayed}"
    );
    assert!(!fs::exists(house.scratch.at("env/data/results")).unwrap());
}

#[test]
fn a_receipt_names_the_data_and_is_verified_on_it() {
    let mut house = House::new("", "");
    let server = house.start(&[]);
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
    let receipt = house.scratch.write("receipt.json", answer.text());
    let receipt = receipt.to_str().unwrap();
    let file = house.scratch.at("one.episode");
    house
        .orwd(&["export", session.id(), "-o", &file])
        .succeeds();
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
        house.orwd(&[&known, more].concat())
    };
    let data = house.scratch.at("env/data");
    let host = Orwd::new(["keys", "host", "--state", &house.scratch.at("state")]).run();
    let key = host.succeeds().trim();
    let fine = verify(component, &["--data", &data, "--key", key]);
    assert!(
        fine.succeeds().contains("2 of 2 steps come to the same"),
        "{fine}"
    );
    verify(component, &[]).refuses(&["--data"]);
    let other = orwd_tests::artifacts::component("chat").to_str().unwrap();
    verify(other, &["--data", &data]).refuses(&["is not the component"]);
    house.scratch.write("env/data/more.txt", "more");
    verify(component, &["--data", &data]).refuses(&["its data is not what it was"]);
}
