//! `/orwd_data`: what an environment sees of the disk, and nothing besides.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use orwd_tests::stream::Transcript;
use serde_json::{Value, json};

use crate::{folder, serve};

fn open(ors: &Ors) -> Session {
    ors.open("files", Task::Spec(json!({})))
}

/// The system refused: the tool's answer says so, and the session goes on.
#[track_caller]
fn refused(call: &Transcript, what: &str) {
    let text = call.text();
    assert!(text.starts_with("error: "), "{what}: {text}");
}

fn read(path: &str) -> Value {
    json!({ "path": path })
}

#[test]
fn a_directory_is_read_and_not_written() {
    let scratch = Scratch::new();
    scratch.write("data/hello.txt", "guten Tag");
    scratch.write("data/below/deep.txt", "tief");
    let server = Serve::fixtures(&["files"])
        .set("--data", scratch.at("data"))
        .start();
    let session = open(&server.ors());
    let check = |path: &str, text: &str| {
        assert_eq!(session.call("read", read(path)).text(), text);
    };
    check("/orwd_data/hello.txt", "guten Tag");
    check("/orwd_data/below/deep.txt", "tief");
    let listed = session.call("list", read("/orwd_data")).text();
    assert!(
        listed.contains("hello.txt") && listed.contains("below"),
        "{listed}"
    );

    let write = json!({"path": "/orwd_data/new.txt", "text": "x"});
    refused(&session.call("write", write), "write");
    let overwrite = json!({"path": "/orwd_data/hello.txt", "text": "x"});
    refused(&session.call("write", overwrite), "overwrite");
    assert_eq!(
        fs::read_to_string(scratch.at("data/hello.txt")).unwrap(),
        "guten Tag"
    );
    assert!(!scratch.path().join("data/new.txt").exists());
    // What the operator changes is seen by those who look.
    scratch.write("data/hello.txt", "guten Abend");
    check("/orwd_data/hello.txt", "guten Abend");
}

#[test]
fn nothing_else_is_there() {
    let scratch = Scratch::new();
    scratch.write("data/inside.txt", "inside");
    let outside = scratch.write("outside.txt", "outside");
    symlink(&outside, scratch.path().join("data/absolute")).unwrap();
    symlink("../outside.txt", scratch.path().join("data/relative")).unwrap();
    symlink("..", scratch.path().join("data/up")).unwrap();
    symlink("inside.txt", scratch.path().join("data/honest")).unwrap();
    let server = Serve::fixtures(&["files"])
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
fn without_data_there_is_no_disk() {
    let server = Serve::fixtures(&["files"]).start();
    let session = open(&server.ors());
    for path in ["/orwd_data/x", "/orwd_data", "/etc/hostname", "."] {
        refused(&session.call("list", read(path)), path);
        refused(&session.call("read", read(path)), path);
    }
}

#[test]
fn a_guest_has_neither_network_nor_environment_nor_arguments() {
    let scratch = Scratch::new();
    scratch.write("data/inside.txt", "inside");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for with_data in [false, true] {
        let mut command = Serve::fixtures(&["files"]);
        if with_data {
            command = command.set("--data", scratch.at("data"));
        }
        let server = command.start();
        let probed = open(&server.ors()).call("probe", json!({ "port": port }));
        let found: Value = serde_json::from_str(&probed.text()).unwrap();
        assert_eq!(found["environment"], json!([]));
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
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn writing_needs_the_manifest_and_the_operator() {
    let scratch = Scratch::new();
    let check = |name: &str, writable: bool, allowed: bool| {
        let keys = format!("data = \"data\"\nwritable = {writable}");
        let path = folder(&scratch, name, "files", &keys, "");
        fs::create_dir_all(scratch.path().join(name).join("data")).unwrap();
        let mut command = serve(path);
        if allowed {
            command = command.flag("--writable-data");
        }
        let server = command.start();
        let session = server.ors().open(name, Task::Spec(json!({})));
        let write = json!({"path": "/orwd_data/note.txt", "text": "written"});
        let call = session.call("write", write);
        let file = scratch.path().join(name).join("data/note.txt");
        if writable && allowed {
            assert_eq!(call.text(), "written");
            assert_eq!(fs::read_to_string(file).unwrap(), "written");
            let back = session.call("read", read("/orwd_data/note.txt"));
            assert_eq!(back.text(), "written");
        } else {
            refused(&call, name);
            assert!(!file.exists(), "{name}");
        }
    };
    check("neither", false, false);
    check("manifest-only", true, false);
    check("operator-only", false, true);
    check("both", true, true);
}
