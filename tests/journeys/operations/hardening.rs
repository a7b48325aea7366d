//! Process hardening: it covers all threads of the real server and its compiler,
//! and a server works with it. What it stops is shown from inside the process by
//! the test `hardening` of the package `orwd`.

use std::fs;
use std::process::{Command, Stdio};

use orwd_tests::artifacts;
use orwd_tests::background::wait_until;
use orwd_tests::http::{HttpConnection, HttpRequest};
use orwd_tests::ors::{OrsClient, SESSION_HEADER, SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{TIMEOUT, environment_dir, serve};

/// Returns the name of each thread of a process, whether it has given up new
/// privileges, its seccomp mode (2 is a filter), and its capabilities.
fn threads(pid: u32) -> Vec<(String, u32, u32, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut found = Vec::new();
    for task in tasks {
        // A thread may end in the meantime.
        if let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) {
            let value = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap().trim().to_owned()
            };
            let number = |key: &str| value(key).parse::<u32>().unwrap();
            let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"];
            let sets = sets.map(|key| u64::from_str_radix(&value(key), 16).unwrap());
            let capabilities = sets.iter().fold(0, |all, set| all | set);
            found.push((
                value("Name:"),
                number("NoNewPrivs:"),
                number("Seccomp:"),
                capabilities,
            ));
        }
    }
    found
}

/// Waits for a log text, which arrives by another pipe than the announcement.
fn wait_for_text(server: &ServerProcess, words: &str) {
    wait_until(words, TIMEOUT, || server.log().contains(words));
}

/// Asserts that every thread is hardened as the log says.
fn is_hardened(server: &ServerProcess) {
    wait_for_text(server, "process hardened");
    // Missing parts are logged before this line.
    wait_for_text(server, "environment loaded");
    let log = server.log();
    let filtered = !log.contains("hardening unavailable protection=system calls");
    let threads = threads(server.pid());
    assert!(threads.len() > 4, "{threads:?}");
    for (name, given_up, filter, capabilities) in threads {
        assert_eq!(given_up, 1, "{name}");
        assert_eq!(capabilities, 0, "{name}");
        assert_eq!(filter, if filtered { 2 } else { 0 }, "{name}");
    }
    for name in ["files", "truncation", "TCP", "signals and abstract sockets"] {
        let message = log.contains(&format!("{name}: Landlock"));
        let missing = log.contains(&format!("hardening unavailable protection={name} "));
        assert!(message || missing, "{name}: {log}");
    }
}

fn open(ors: &OrsClient) -> SessionClient {
    ors.open("files", TaskSelector::Spec(json!({})))
}

fn fill(mebibytes: u32) -> serde_json::Value {
    json!({"path": "/tmp/big", "piece": 1 << 20, "count": mebibytes})
}

#[test]
fn a_session_works_with_hardening() {
    let scratch = TestDir::new();
    let temporary = scratch.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    scratch.write("files/data/train.csv", "1,2");
    let mut server = serve(environment_dir(
        &scratch,
        "files",
        "files",
        "data = \"data\"\ndata-mode = \"shared\"",
        "[shared]\npublish = [\"results/\"]",
    ))
    .flag("--writable-data")
    .set("--cache", scratch.path().join("cache"))
    .start_in_shell(&format!("export TMPDIR='{}'", temporary.display()));
    is_hardened(&server);
    let session = open(&server.ors());
    let read = session.call("read", json!({"path": "/orwd_data/train.csv"}));
    assert_eq!(read.text(), "1,2");
    // More than is kept in memory.
    let filled = session.call("fill", fill(4)).text();
    assert_eq!(filled, "4194304 done");
    let made = session.call("make_dir", json!({"path": "/orwd_data/results/run"}));
    assert_eq!(made.text(), "made");
    let result = json!({"path": "/orwd_data/results/run/metrics.json", "text": "{}"});
    assert_eq!(session.call("write", result).text(), "written");
    assert_eq!(session.delete().status(), 200);
    let published = scratch.path().join("files/data/results/run/metrics.json");
    assert_eq!(fs::read_to_string(published).unwrap(), "{}");
    // The compiled code was cached.
    let kept = fs::read_dir(scratch.path().join("cache")).unwrap();
    let kept = kept.filter(|file| file.as_ref().unwrap().path().extension().is_some());
    assert_eq!(kept.count(), 1);
    is_hardened(&server);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0));
    let log = server.log();
    let warned = |line: &&str| line.contains("WARN") && !line.contains("hardening unavailable");
    assert_eq!(log.lines().find(warned), None, "{log}");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn a_replaced_key_file_is_read_with_hardening() {
    let scratch = TestDir::new();
    let key = |file: &str, name: &str| {
        let made = OrwdCommand::new(["keys", "add", name, "--api-keys", file]).run();
        made.expect_success().trim_end().to_owned()
    };
    fs::create_dir_all(scratch.path().join("keys/versions/one")).unwrap();
    fs::create_dir_all(scratch.path().join("keys/versions/two")).unwrap();
    let old = key(&scratch.at("keys/versions/one/keys.toml"), "alice");
    let new = key(&scratch.at("keys/versions/two/keys.toml"), "alice");
    // As secrets are mounted into containers: a link to a link.
    let link = |version: &str, at: &str| {
        std::os::unix::fs::symlink(version, scratch.path().join(at)).unwrap();
    };
    link("versions/one", "keys/current");
    link("current/keys.toml", "keys/keys.toml");
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", scratch.path().join("keys/keys.toml"))
        // The new key is tried often before it is accepted.
        .set("--auth-failure-rate", "1000000")
        .start();
    let asks = |key: &str| {
        let request = HttpRequest::get("/list_environments").header("X-API-Key", key);
        server.ors().fetch(&request).status()
    };
    assert_eq!((asks(&old), asks(&new)), (200, 401));
    link("versions/two", "keys/next");
    let keys = scratch.path().join("keys");
    fs::rename(keys.join("next"), keys.join("current")).unwrap();
    wait_until("the new key is accepted", TIMEOUT, || asks(&new) == 200);
    assert_eq!(asks(&old), 401);
    is_hardened(&server);
}

#[test]
fn hardening_can_be_turned_off() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--hardening", "off")
        .start();
    for (name, given_up, filter, _) in threads(server.pid()) {
        assert_eq!((given_up, filter), (0, 0), "{name}");
    }
    wait_for_text(&server, "process hardening is off");
    // Its own user can inspect it again.
    let seen = fs::read(format!("/proc/{}/environ", server.pid()));
    assert!(seen.is_ok(), "{seen:?}");
}

/// Where the kernel lacks an essential part of the hardening, a server that
/// requires it does not start. Newer parts are named and not required.
#[test]
fn required_hardening_demands_the_essential_parts() {
    let plain = ServeCommand::fixtures(&["alpha"]).start();
    is_hardened(&plain);
    let strict = ServeCommand::fixtures(&["alpha"]).set("--hardening", "required");
    if plain.log().contains("essential=true") {
        strict
            .command()
            .run()
            .expect_failure(&["--hardening required"]);
    } else {
        is_hardened(&strict.start());
    }
}

#[test]
fn inspect_runs_with_hardening() {
    let scratch = TestDir::new();
    let cache = scratch.at("cache");
    let component = artifacts::component("files").to_str().unwrap();
    let inspected =
        OrwdCommand::new(["inspect", "--log", "info", "--cache", &cache, component]).run();
    inspected.expect_success();
    let message = &inspected.stderr;
    assert!(message.contains("process hardened"), "{inspected}");
}

#[test]
fn the_compiler_is_hardened_before_it_reads_input() {
    let mut compiler = Command::new(artifacts::binary())
        .args(["__compile", "--memory", "4294967296", "--seconds", "60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = compiler.id();
    // Without seccomp in the kernel, the other parts remain.
    let filter = match fs::exists("/proc/sys/kernel/seccomp").unwrap() {
        true => 2,
        false => 0,
    };
    wait_until("the compiler is hardened", TIMEOUT, || {
        let threads = threads(pid);
        threads
            .iter()
            .all(|(_, given_up, by, has)| (*given_up, *by, *has) == (1, filter, 0))
    });
    drop(compiler.stdin.take());
    assert_eq!(compiler.wait().unwrap().code(), Some(1));
}

#[test]
fn a_client_that_takes_all_connections_leaves_sessions_their_files() {
    let server = serve(artifacts::component("files")).start_in_shell("ulimit -n 200");
    wait_for_text(&server, "--max-connections limit=150");
    let ors = server.ors();
    let id = fresh_id();
    let mut mine = ors.client().connect();
    let mut ask = |request: HttpRequest| {
        let answer = mine.fetch(&request.header(SESSION_HEADER, &id)).unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.text().to_owned()
    };
    let environment = "fixture_files";
    ask(HttpRequest::post("/create").json(&TaskSelector::Spec(json!({})).body(environment)));
    // All other connections up to the limit, and many that wait.
    let served: Vec<HttpConnection> = (1..150)
        .map(|_| {
            let mut connection = ors.client().connect();
            let answer = connection.fetch(&HttpRequest::get("/health")).unwrap();
            assert_eq!(answer.status(), 200);
            connection
        })
        .collect();
    let waiting: Vec<HttpConnection> = (0..100).map(|_| ors.client().connect()).collect();
    let call = json!({"name": "fill", "input": fill(4)});
    let filled = ask(HttpRequest::post(&format!("/{environment}/call")).json(&call));
    assert!(filled.contains("4194304 done"), "{filled}");
    drop((served, waiting));
}

#[test]
fn a_file_size_limit_fails_a_write_and_not_the_server() {
    let scratch = TestDir::new();
    let cache = scratch.path().join("cache");
    let command = || serve(artifacts::component("files")).set("--cache", &cache);
    // Compiles without the limit, which the compiled code would exceed.
    drop(command().start());
    let server = command().start_in_shell("ulimit -f 8192");
    let ors = server.ors();
    let open = || ors.open("fixture_files", TaskSelector::Spec(json!({})));
    let (one, other) = (open(), open());
    // The limit is the host's, so the guest sees no error: the call breaks off.
    let body = json!({"name": "fill", "input": fill(16)});
    let broken = ors.try_post_as(one.id(), "/fixture_files/call", &body);
    let text = broken.map_or_else(|_| String::new(), |answer| answer.text().to_owned());
    assert!(
        !text.contains("error: ") && !text.contains("event: end"),
        "{text}"
    );
    server.wait_for_log("the host failed a guest");
    assert_eq!(one.ping().status(), 200, "the session goes on");
    assert_eq!(other.call("fill", fill(2)).text(), "2097152 done");
    is_hardened(&server);
}
