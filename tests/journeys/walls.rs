//! The walls around the process: that they stand around the real server and
//! its compiler, all threads of them, and that a server works behind them. What
//! they stop is shown by the host's own test `walls`, from within.

use std::fs;
use std::process::{Command, Stdio};

use orwd_tests::artifacts;
use orwd_tests::command::Orwd;
use orwd_tests::http::{Connection, Request};
use orwd_tests::later::wait_until;
use orwd_tests::ors::{Ors, SESSION_HEADER, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use rustix::process::Signal;
use serde_json::json;

use crate::{SOON, folder, serve};

/// What the kernel says of each thread of a process: whether it has given up
/// privileges, and how its system calls are filtered (2 is by a list).
fn threads(pid: u32) -> Vec<(String, u32, u32)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut found = Vec::new();
    for task in tasks {
        // A thread may end while it is looked at.
        if let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) {
            let value = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap().trim().to_owned()
            };
            let number = |key: &str| value(key).parse::<u32>().unwrap();
            found.push((value("Name:"), number("NoNewPrivs:"), number("Seccomp:")));
        }
    }
    found
}

/// The log says this, sooner or later: it comes by another pipe than the
/// announcement.
fn says(server: &Server, words: &str) {
    wait_until(words, SOON, || server.log().contains(words));
}

/// Every thread is behind the walls that the log tells of.
fn stands(server: &Server) {
    says(server, "walls around this process: ");
    // Whatever is missing is told in front of this.
    says(server, "loaded");
    let log = server.log();
    let filtered = !log.contains("a wall is missing here: system calls");
    let threads = threads(server.pid());
    assert!(threads.len() > 4, "{threads:?}");
    for (name, given_up, filter) in threads {
        assert_eq!(given_up, 1, "{name}");
        assert_eq!(filter, if filtered { 2 } else { 0 }, "{name}");
    }
    for name in ["files", "TCP", "signals and abstract sockets"] {
        let told = log.contains(&format!("{name}: Landlock"));
        let missing = log.contains(&format!("a wall is missing here: {name}: "));
        assert!(told || missing, "{name}: {log}");
    }
}

fn open(ors: &Ors) -> Session {
    ors.open("files", Task::Spec(json!({})))
}

fn fill(mebibytes: u32) -> serde_json::Value {
    json!({"path": "/tmp/big", "piece": 1 << 20, "count": mebibytes})
}

#[test]
fn a_whole_session_works_behind_the_walls() {
    let scratch = Scratch::new();
    let temporary = scratch.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    scratch.write("files/data/train.csv", "1,2");
    let mut server = serve(folder(
        &scratch,
        "files",
        "files",
        "data = \"data\"\ndata-mode = \"shared\"",
        "[shared]\npublish = [\"results/\"]",
    ))
    .flag("--writable-data")
    .set("--cache", scratch.path().join("cache"))
    .start_after(&format!("export TMPDIR='{}'", temporary.display()));
    stands(&server);
    let session = open(&server.ors());
    let read = session.call("read", json!({"path": "/orwd_data/train.csv"}));
    assert_eq!(read.text(), "1,2");
    // More than stays in memory.
    let filled = session.call("fill", fill(4)).text();
    assert_eq!(filled, "4194304 done");
    let made = session.call("make_dir", json!({"path": "/orwd_data/results/run"}));
    assert_eq!(made.text(), "made");
    let result = json!({"path": "/orwd_data/results/run/metrics.json", "text": "{}"});
    assert_eq!(session.call("write", result).text(), "written");
    assert_eq!(session.delete().status(), 200);
    let published = scratch.path().join("files/data/results/run/metrics.json");
    assert_eq!(fs::read_to_string(published).unwrap(), "{}");
    // It was compiled, and kept for the next start.
    let kept = fs::read_dir(scratch.path().join("cache")).unwrap();
    let kept = kept.filter(|file| file.as_ref().unwrap().path().extension().is_some());
    assert_eq!(kept.count(), 1);
    stands(&server);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0));
    let log = server.log();
    let warned = |line: &&str| line.contains("WARN") && !line.contains("a wall is missing here");
    assert_eq!(log.lines().find(warned), None, "{log}");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn a_file_of_keys_that_is_replaced_is_found_behind_the_walls() {
    let scratch = Scratch::new();
    let key = |file: &str, name: &str| {
        let made = Orwd::new(["keys", "new", name, "--api-keys", file]).run();
        made.succeeds().trim_end().to_owned()
    };
    fs::create_dir_all(scratch.path().join("keys/versions/one")).unwrap();
    fs::create_dir_all(scratch.path().join("keys/versions/two")).unwrap();
    let old = key(&scratch.at("keys/versions/one/keys.toml"), "alice");
    let new = key(&scratch.at("keys/versions/two/keys.toml"), "alice");
    // As secrets are mounted into containers: by a link to a link.
    let link = |version: &str, at: &str| {
        std::os::unix::fs::symlink(version, scratch.path().join(at)).unwrap();
    };
    link("versions/one", "keys/current");
    link("current/keys.toml", "keys/keys.toml");
    let server = Serve::fixtures(&["alpha"])
        .set("--api-keys", scratch.path().join("keys/keys.toml"))
        // The new one is tried often before it is known.
        .set("--wrong-keys", "1000000")
        .start();
    let asks = |key: &str| {
        let request = Request::get("/list_environments").header("X-API-Key", key);
        server.ors().ask(&request).status()
    };
    assert_eq!((asks(&old), asks(&new)), (200, 401));
    link("versions/two", "keys/next");
    let keys = scratch.path().join("keys");
    fs::rename(keys.join("next"), keys.join("current")).unwrap();
    wait_until("the new key is known", SOON, || asks(&new) == 200);
    assert_eq!(asks(&old), 401);
    stands(&server);
}

#[test]
fn walls_can_be_left_out_for_those_who_look_inside() {
    let server = Serve::fixtures(&["alpha"]).set("--walls", "off").start();
    for (name, given_up, filter) in threads(server.pid()) {
        assert_eq!((given_up, filter), (0, 0), "{name}");
    }
    says(&server, "there are no walls around this process");
    // Its own user sees into it again.
    let seen = fs::read(format!("/proc/{}/environ", server.pid()));
    assert!(seen.is_ok(), "{seen:?}");
}

#[test]
fn a_server_that_asks_for_all_walls_serves_where_they_stand() {
    let plain = Serve::fixtures(&["alpha"]).start();
    stands(&plain);
    if plain.log().contains("a wall is missing here") {
        println!("left out: this kernel lacks a wall");
        return;
    }
    let strict = Serve::fixtures(&["alpha"]).set("--walls", "required");
    stands(&strict.start());
}

#[test]
fn a_component_is_inspected_behind_walls() {
    let scratch = Scratch::new();
    let cache = scratch.at("cache");
    let component = artifacts::component("files").to_str().unwrap();
    let inspected = Orwd::new(["inspect", "--log", "info", "--cache", &cache, component]).run();
    inspected.succeeds();
    let told = &inspected.stderr;
    assert!(told.contains("walls around this process: "), "{inspected}");
}

#[test]
fn the_compiler_stands_behind_walls_before_it_reads() {
    let mut compiler = Command::new(artifacts::binary())
        .args(["__compile", "--memory", "4294967296", "--seconds", "60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = compiler.id();
    // Where the kernel has no filters, there are the other walls.
    let filter = match fs::exists("/proc/sys/kernel/seccomp").unwrap() {
        true => 2,
        false => 0,
    };
    wait_until("the compiler has walls", SOON, || {
        let threads = threads(pid);
        threads
            .iter()
            .all(|(_, given_up, by)| (*given_up, *by) == (1, filter))
    });
    drop(compiler.stdin.take());
    assert_eq!(compiler.wait().unwrap().code(), Some(1));
}

#[test]
fn whoever_takes_all_connections_leaves_sessions_their_files() {
    let server = serve(artifacts::component("files")).start_after("ulimit -n 200");
    says(&server, "no more than 150 connections");
    let ors = server.ors();
    let id = fresh_id();
    let mut mine = ors.client().connect();
    let mut ask = |request: Request| {
        let answer = mine.ask(&request.header(SESSION_HEADER, &id)).unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.text().to_owned()
    };
    let environment = "fixture_files";
    ask(Request::post("/create").json(&Task::Spec(json!({})).body(environment)));
    // All others that there may be, and many that wait.
    let served: Vec<Connection> = (1..150)
        .map(|_| {
            let mut connection = ors.client().connect();
            let answer = connection.ask(&Request::get("/health")).unwrap();
            assert_eq!(answer.status(), 200);
            connection
        })
        .collect();
    let waiting: Vec<Connection> = (0..100).map(|_| ors.client().connect()).collect();
    let call = json!({"name": "fill", "input": fill(4)});
    let filled = ask(Request::post(&format!("/{environment}/call")).json(&call));
    assert!(filled.contains("4194304 done"), "{filled}");
    drop((served, waiting));
}

#[test]
fn a_limit_on_the_size_of_files_ends_a_write_and_not_the_server() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cache");
    let command = || serve(artifacts::component("files")).set("--cache", &cache);
    // Compiled without the limit, which the compiled code would not fit into.
    drop(command().start());
    let server = command().start_after("ulimit -f 8192");
    let ors = server.ors();
    let open = || ors.open("fixture_files", Task::Spec(json!({})));
    let (one, other) = (open(), open());
    let filled = one.call("fill", fill(16)).text();
    assert!(filled.contains("error: "), "{filled}");
    assert_eq!(other.call("fill", fill(2)).text(), "2097152 done");
    stands(&server);
}
