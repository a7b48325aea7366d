//! `/orwd_data`: the only part of the disk that an environment sees.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use orwd_tests::background::wait_until;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, StreamTranscript, TaskSelector, fresh_id};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::{TIMEOUT, environment_dir, serve};

fn open(ors: &OrsClient) -> SessionClient {
    ors.open("files", TaskSelector::Spec(json!({})))
}

/// Asserts that the system refused the operation, as the tool's result says.
#[track_caller]
fn refused(call: &StreamTranscript, what: &str) {
    let text = call.text();
    assert!(text.starts_with("error: "), "{what}: {text}");
}

fn read(path: &str) -> Value {
    json!({ "path": path })
}

/// Serves the fixture with a data directory and these manifest keys.
fn with_data(scratch: &TestDir, keys: &str, tables: &str) -> ServeCommand {
    fs::create_dir_all(scratch.path().join("files/data")).unwrap();
    let keys = format!("data = \"data\"\n{keys}");
    serve(environment_dir(scratch, "files", "files", &keys, tables))
}

fn write(session: &SessionClient, path: &str, text: &str) -> String {
    let input = json!({"path": path, "text": text});
    session.call("write", input).text()
}

#[test]
fn read_only_data_is_read_and_not_written() {
    let scratch = TestDir::new();
    scratch.write("files/data/hello.txt", "guten Tag");
    scratch.write("files/data/below/deep.txt", "tief");
    let server = with_data(&scratch, "data-mode = \"read-only\"", "").start();
    let session = open(&server.ors());
    let check = |path: &str, text: &str| {
        assert_eq!(session.call("read", read(path)).text(), text);
    };
    check("/orwd_data/hello.txt", "guten Tag");
    check("/orwd_data/below/deep.txt", "tief");
    let listed = session.call("list", read("/orwd_data")).text();
    assert_eq!(listed, "below\nhello.txt");

    for path in ["/orwd_data/new.txt", "/orwd_data/hello.txt"] {
        let message = write(&session, path, "x");
        assert!(
            message.contains("Read-only file system"),
            "{path}: {message}"
        );
    }
    let removed = session.call("remove", read("/orwd_data/hello.txt")).text();
    assert!(removed.contains("Read-only file system"), "{removed}");
    refused(&session.call("list", read("/tmp")), "/tmp");
    assert_eq!(
        fs::read_to_string(scratch.at("files/data/hello.txt")).unwrap(),
        "guten Tag"
    );
    // Changes by the operator are visible.
    scratch.write("files/data/hello.txt", "guten Abend");
    check("/orwd_data/hello.txt", "guten Abend");
}

#[test]
fn written_files_are_private_and_end_with_the_session() {
    let scratch = TestDir::new();
    scratch.write("files/data/hello.txt", "guten Tag");
    let server = with_data(&scratch, "", "").start();
    let one = open(&server.ors());
    let two = open(&server.ors());
    assert_eq!(write(&one, "/orwd_data/hello.txt", "hallo"), "written");
    assert_eq!(write(&one, "/orwd_data/new.txt", "neu"), "written");
    assert_eq!(write(&one, "/tmp/note", "mine"), "written");
    let moved = json!({"from": "/tmp/note", "to": "/orwd_data/note"});
    assert_eq!(one.call("rename", moved).text(), "renamed");
    let text = |session: &SessionClient, path: &str| session.call("read", read(path)).text();
    assert_eq!(text(&one, "/orwd_data/hello.txt"), "hallo");
    assert_eq!(text(&one, "/orwd_data/note"), "mine");
    let listed = |session: &SessionClient| session.call("list", read("/orwd_data")).text();
    assert_eq!(listed(&one), "hello.txt\nnew.txt\nnote");
    assert_eq!(listed(&two), "hello.txt");
    assert_eq!(text(&two, "/orwd_data/hello.txt"), "guten Tag");
    assert_eq!(one.delete().status(), 200);
    assert_eq!(listed(&open(&server.ors())), "hello.txt");
    let data = scratch.path().join("files/data");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    let file = fs::read_to_string(data.join("hello.txt"));
    assert_eq!(file.unwrap(), "guten Tag");
}

#[test]
fn a_full_disk_is_reported_and_can_be_emptied() {
    let scratch = TestDir::new();
    let server = with_data(&scratch, "", "[limits]\ndisk = \"1MiB\"\nfiles = 20").start();
    let session = open(&server.ors());
    let fill = json!({"path": "/orwd_data/big", "piece": 10_000, "count": 1000});
    let filled = session.call("fill", fill.clone()).text();
    let (length, said) = filled.split_once(' ').expect("a length");
    assert_eq!(length.parse::<usize>().unwrap(), (1 << 20) - "big".len());
    // The guest's C library does not report why a stream failed.
    assert!(said.starts_with("error: "), "{said}");
    let removed = session.call("remove", read("/orwd_data/big"));
    assert_eq!(removed.text(), "removed");
    assert_eq!(write(&session, "/tmp/small", "fits"), "written");

    // Nineteen more, beside the existing file.
    let many = session
        .call("many", json!({"path": "/tmp", "count": 100}))
        .text();
    assert!(
        many.starts_with("19 error: No space left on device"),
        "{many}"
    );
    session.call("remove", read("/tmp/7"));
    assert_eq!(write(&session, "/orwd_data/small", "fits"), "written");
    // Other sessions are not affected.
    assert_eq!(write(&open(&server.ors()), "/tmp/x", "fits"), "written");
}

#[test]
fn open_files_are_limited() {
    let scratch = TestDir::new();
    let server = with_data(&scratch, "", "[limits]\nopen-files = 30").start();
    let session = open(&server.ors());
    let many = json!({"path": "/tmp", "count": 100, "open": true});
    let message = session.call("many", many).text();
    let (made, said) = message.split_once(' ').expect("a count");
    let made: usize = made.parse().unwrap();
    assert!((20..30).contains(&made), "{message}");
    assert!(said.contains("Quota exceeded"), "{message}");
    assert_eq!(write(&session, "/tmp/x", "fits"), "written");
}

const SHARED: &str = "data-mode = \"shared\"";

#[test]
fn published_results_are_visible_to_the_next_session() {
    for (existing, expected) in [("keep", "first"), ("replace", "second")] {
        let scratch = TestDir::new();
        scratch.write("files/data/train.csv", "1,2");
        let tables = format!("[shared]\npublish = [\"results/\"]\non-conflict = \"{existing}\"");
        let server = with_data(&scratch, SHARED, &tables)
            .flag("--writable-data")
            .start();
        let ors = server.ors();
        let (one, two) = (open(&ors), open(&ors));
        let metrics = "/orwd_data/results/run/metrics.json";
        for (session, text) in [(&one, "first"), (&two, "second")] {
            let folder = read("/orwd_data/results/run");
            assert_eq!(session.call("make_dir", folder).text(), "made");
            assert_eq!(write(session, metrics, text), "written");
            assert_eq!(write(session, "/orwd_data/train.csv", "x"), "written");
        }
        refused(&open(&ors).call("read", read(metrics)), "too early");
        assert_eq!(one.delete().status(), 200);
        assert_eq!(open(&ors).call("read", read(metrics)).text(), "first");
        assert_eq!(two.delete().status(), 200);
        let next = open(&ors);
        assert_eq!(next.call("read", read(metrics)).text(), expected);
        let train = next.call("read", read("/orwd_data/train.csv"));
        assert_eq!(train.text(), "1,2");
        let folder = scratch.path().join("files/data/results/run");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }
}

#[test]
fn sharing_needs_the_manifest_and_the_operator() {
    for (manifest, operator, expected) in [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (true, true, true),
    ] {
        let scratch = TestDir::new();
        let (keys, tables) = if manifest {
            (SHARED, "[shared]\npublish = [\"results\"]")
        } else {
            ("", "")
        };
        scratch.write("files/data/results/old", "old");
        let mut command = with_data(&scratch, keys, tables);
        if operator {
            command = command.flag("--writable-data");
        }
        let server = command.start();
        let session = open(&server.ors());
        assert_eq!(write(&session, "/orwd_data/results/new", "new"), "written");
        assert_eq!(session.delete().status(), 200);
        let new = scratch.path().join("files/data/results/new");
        assert_eq!(new.exists(), expected, "{manifest} {operator}");
    }
}

#[test]
fn sessions_on_one_directory_cost_no_descriptors() {
    let scratch = TestDir::new();
    scratch.write("files/data/hello.txt", "guten Tag");
    // With hardening only root could count them.
    let server = with_data(&scratch, "", "")
        .set("--hardening", "off")
        .start();
    let ors = server.ors();
    let descriptors = || {
        let folder = format!("/proc/{}/fd", server.pid());
        fs::read_dir(folder).unwrap().count()
    };
    let use_session = |session: &SessionClient| {
        let hello = session.call("read", read("/orwd_data/hello.txt"));
        assert_eq!(hello.text(), "guten Tag");
        assert_eq!(write(session, "/orwd_data/mine", "m"), "written");
    };
    let first = open(&ors);
    use_session(&first);
    let before = descriptors();
    let sessions: Vec<SessionClient> = (0..300).map(|_| open(&ors)).collect();
    for session in &sessions {
        use_session(session);
    }
    let after = descriptors();
    // The number of connections varies; three hundred descriptors would show.
    assert!(after < before + 50, "{before}, then {after}");
}

#[test]
fn no_other_path_can_be_read() {
    let scratch = TestDir::new();
    scratch.write("data/inside.txt", "inside");
    let outside = scratch.write("outside.txt", "outside");
    symlink(&outside, scratch.path().join("data/absolute")).unwrap();
    symlink("../outside.txt", scratch.path().join("data/relative")).unwrap();
    symlink("..", scratch.path().join("data/up")).unwrap();
    symlink("inside.txt", scratch.path().join("data/honest")).unwrap();
    let server = ServeCommand::fixtures(&["files"])
        .set("--data", scratch.at("data"))
        .start();
    let session = open(&server.ors());
    for path in [
        "/etc/passwd",
        "/proc/self/environ",
        "/",
        "/orwd_data/../outside.txt",
        "/orwd_data/../../etc/passwd",
        "/orwd_data/absolute",
        "/orwd_data/relative",
        "/orwd_data/up/outside.txt",
        outside.to_str().unwrap(),
    ] {
        refused(&session.call("read", read(path)), path);
    }
    assert_eq!(
        session.call("read", read("/orwd_data/honest")).text(),
        "inside"
    );
}

#[test]
fn without_a_data_directory_only_tmp_exists() {
    let server = ServeCommand::fixtures(&["files"]).start();
    let session = open(&server.ors());
    for path in ["/orwd_data/x", "/orwd_data", "/etc/hostname", "."] {
        refused(&session.call("list", read(path)), path);
        refused(&session.call("read", read(path)), path);
    }
    assert_eq!(session.call("list", read("/tmp")).text(), "");
    assert_eq!(write(&session, "/tmp/note", "mine"), "written");
    assert_eq!(session.call("read", read("/tmp/note")).text(), "mine");
}

#[test]
fn a_guest_has_neither_network_nor_environment_nor_arguments() {
    let scratch = TestDir::new();
    scratch.write("data/inside.txt", "inside");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for with_data in [false, true] {
        let mut command = ServeCommand::fixtures(&["files"]);
        if with_data {
            command = command.set("--data", scratch.at("data"));
        }
        let server = command.start();
        let probed = open(&server.ors()).call("probe", json!({ "port": port }));
        let found: Value = serde_json::from_str(&probed.text()).unwrap();
        assert_eq!(found["environment"], json!(["ORWD_ENVIRONMENT"]));
        assert_eq!(found["arguments"], json!([]));
        let stdin = found["stdin"].as_str().expect("a text");
        assert!(
            stdin == "0 bytes" || stdin.starts_with("error: "),
            "{stdin}"
        );
        let mut attempts = found["outside"].as_object().expect("an object").clone();
        for name in ["tcp", "listen", "udp", "lookup"] {
            attempts.insert(name.to_owned(), found[name].clone());
        }
        assert!(attempts.len() > 8, "{found}");
        for (what, answer) in attempts {
            let answer = answer.as_str().expect("a text");
            assert!(answer.starts_with("error: "), "{what}: {answer}");
        }
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a guest connected");
}

#[test]
fn data_that_outgrows_its_limits_makes_sessions_wait() {
    let scratch = TestDir::new();
    scratch.write("files/data/hello.txt", "guten Tag");
    let alpha = environment_dir(&scratch, "alpha", "alpha", "", "");
    let server = with_data(&scratch, "data-mode = \"read-only\"", "")
        .and_path(&alpha)
        .start();
    let ors = server.ors();
    let before = open(&ors);
    assert_eq!(
        before.call("read", read("/orwd_data/hello.txt")).text(),
        "guten Tag"
    );
    let huge = scratch.path().join("files/data/huge");
    fs::File::create(&huge).unwrap().set_len(8 << 40).unwrap();
    // A scan is not repeated for a while.
    let body = TaskSelector::Spec(json!({})).body("files");
    let refused = || {
        let answer = ors.create(&fresh_id(), &body);
        (answer.status() != 200).then_some(answer)
    };
    wait_until("the growth is noticed", TIMEOUT, || refused().is_some());
    let answer = refused().expect("it stays refused");
    let detail = error_detail(&answer, 503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(
        detail.contains("mostly holes; its operator must"),
        "{detail}"
    );
    assert!(
        !detail.contains('/') && !detail.contains("huge"),
        "{detail}"
    );
    server.wait_for_log("is sparse");
    // What is in memory goes on, and so do others.
    assert_eq!(
        before.call("read", read("/orwd_data/hello.txt")).text(),
        "guten Tag"
    );
    let other = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(other.call("noargs", json!({})).text(), "noargs ok");
    fs::remove_file(&huge).unwrap();
    wait_until("the data is usable again", TIMEOUT, || refused().is_none());
}

#[test]
fn a_session_that_sleeps_while_its_data_outgrows_a_limit_says_which() {
    let scratch = TestDir::new();
    scratch.write("files/data/hello.txt", "guten Tag");
    let server = with_data(&scratch, "data-mode = \"read-only\"", "")
        .set("--data-entries", "10")
        .set("--hibernate-after", "100ms")
        .start();
    let ors = server.ors();
    let session = open(&ors);
    let hello = || session.call("read", read("/orwd_data/hello.txt")).text();
    assert_eq!(hello(), "guten Tag");
    let sleeps = || {
        let listed = ors.get("/orwd/sessions").json();
        listed["sessions"][0]["state"] == "asleep"
    };
    wait_until("the session sleeps", TIMEOUT, sleeps);
    let folder = scratch.path().join("files/data/more");
    fs::create_dir(&folder).unwrap();
    for number in 0..10 {
        fs::write(folder.join(number.to_string()), "").unwrap();
    }
    // A scan is not repeated for a while, so it may be resumed again.
    wait_until("the growth is noticed", TIMEOUT, || {
        sleeps() && session.get("prompt").status() == 503
    });
    for _ in 0..2 {
        let detail = error_detail(&session.get("prompt"), 503);
        assert!(
            detail.contains("(--data-entries); its operator must"),
            "{detail}"
        );
        assert!(!detail.contains("files/data"), "{detail}");
    }
    fs::remove_dir_all(&folder).unwrap();
    wait_until("it goes on", TIMEOUT, || {
        session.get("prompt").status() == 200
    });
    assert_eq!(hello(), "guten Tag");
}
