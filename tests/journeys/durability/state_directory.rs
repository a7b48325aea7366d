//! The state directory: a full disk, a failed sync, truncated files, and a clean
//! shutdown. Acknowledged work is kept, or refused with an error.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use orwd_tests::artifacts::{target_dir, workspace_dir};
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, SessionClient, StreamTranscript, TaskSelector, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand, ServerProcess, unused_address};
use orwd_tests::requirement;
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;
use serde_json::json;

use super::restartable_server::{RestartableServer, bump, until};
use crate::support::TIMEOUT;

/// A small file system, if this user may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(scratch: &TestDir) -> Option<SmallDisk> {
        let place = scratch.path().join("disk");
        fs::create_dir(&place).unwrap();
        let path = place.to_str().unwrap();
        let mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path];
        if run_privileged(&mount) {
            return Some(SmallDisk(place));
        }
        requirement::skip(
            "this user may not mount a tmpfs",
            "run the tests as root, or install sudo and let it run `mount` without a password",
        );
        None
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        for piece in [1 << 16, 1 << 10, 1] {
            while file.write_all(&vec![b'x'; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(run_privileged(&["umount", "-l", self.0.to_str().unwrap()]));
    }
}

/// Runs a command as this user or else with `sudo`, and returns whether one of
/// the two succeeded.
fn run_privileged(command: &[&str]) -> bool {
    let succeeds = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    succeeds(command[0], &command[1..]) || succeeds("sudo", &[&["-n"], command].concat())
}

/// Creates sessions until one is refused for lack of space, and returns those
/// that were acknowledged.
fn create_until_refused(ors: &OrsClient) -> Vec<SessionClient> {
    let mut created = Vec::new();
    loop {
        let id = fresh_id();
        let answer = ors.create(&id, &TaskSelector::At("train", 0).body("alpha"));
        if answer.status() == 503 {
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
            // No part of it exists.
            assert_eq!(ors.post_empty(&id, "/ping").status(), 404);
            return created;
        }
        assert_eq!(answer.status(), 200, "{answer:?}");
        created.push(ors.session("alpha", &id));
        assert!(created.len() < 500, "the disk is full");
    }
}

#[test]
fn a_full_disk_refuses_new_work_and_loses_nothing() {
    let scratch = TestDir::new();
    let Some(disk) = SmallDisk::new(&scratch) else {
        return;
    };
    let state = scratch.at("disk/state");
    let admin = unused_address();
    let mut host = RestartableServer::new(&scratch)
        .set("--state", &state)
        .set("--admin-listen", &admin);
    let mut server = host.alpha();
    let ors = server.ors();
    let operator = OrsClient::at(&format!("http://{admin}"));
    let (one, two) = (
        ors.open("alpha", TaskSelector::At("train", 0)),
        ors.open("alpha", TaskSelector::At("train", 0)),
    );
    assert_eq!((bump(&one, 1), bump(&two, 10)), ("1".into(), "10".into()));
    assert_eq!(ors.get("/ready").json()["status"], "ready");
    assert_eq!(operator.get("/ready").json()["status"], "ready");

    disk.fill();
    let created = create_until_refused(&ors);
    until(|| ors.get("/ready").status() == 503);
    let unavailable = "journal unavailable";
    assert_eq!(ors.get("/ready").json()["status"], unavailable);
    assert_eq!(operator.get("/ready").status(), 503);
    assert_eq!(operator.get("/ready").json()["status"], unavailable);
    assert_eq!(ors.get("/health").status(), 200);
    // A call is refused before it runs: its result would find no space.
    let call = one.post_request("call", &json!({"name": "bump", "input": {"by": 5}}));
    assert_eq!(ors.client().fetch(&call).status(), 503);
    assert_eq!(one.ping().status(), 200);
    server.wait_for_log("no space left");

    disk.free();
    until(|| ors.get("/ready").status() == 200);
    until(|| {
        let answer = ors.client().try_fetch(&call);
        answer.is_ok_and(|answer| answer.status() == 200 && answer.text().contains("end"))
    });
    assert_eq!(bump(&one, 0), "6");
    let late = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(bump(&late, 3), "3");
    server.kill();

    let server = host.alpha();
    for (session, expected) in [(&one, "6"), (&two, "10"), (&late, "3")] {
        assert_eq!(bump(session, 0), expected, "{}", server.log());
    }
    for session in &created {
        assert_eq!(bump(session, 0), "0");
    }
    drop((one, two, late, created, server));
}

#[test]
fn what_is_deleted_while_the_disk_is_full_stays_deleted() {
    let scratch = TestDir::new();
    let Some(disk) = SmallDisk::new(&scratch) else {
        return;
    };
    let state = scratch.at("disk/state");
    let mut host = RestartableServer::new(&scratch).set("--state", &state);
    let mut server = host.alpha();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let asleep = ors.open("alpha", TaskSelector::At("train", 0));
    assert_eq!(
        (bump(&session, 1), bump(&asleep, 1)),
        ("1".into(), "1".into())
    );
    disk.fill();
    drop(create_until_refused(&ors));
    for session in [&session, &asleep] {
        assert_eq!(session.delete().status(), 200);
        assert_eq!(session.ping().status(), 404);
    }
    server.wait_for_log("session end not journaled");
    disk.free();
    // Its id can be reused once its end is in the journal.
    let body = TaskSelector::At("train", 0).body("alpha");
    until(|| {
        let answer = ors.create(session.id(), &body);
        assert!(matches!(answer.status(), 200 | 503), "{answer:?}");
        answer.status() == 200
    });
    assert_eq!(bump(&session, 0), "0", "a new session");
    until(|| {
        let shown = ors.get(&format!("/orwd/sessions/{}", asleep.id())).json();
        shown["state"] == "deleted"
    });
    server.kill();
    let server = host.alpha();
    assert_eq!(asleep.ping().status(), 404, "{}", server.log());
    assert_eq!(bump(&session, 2), "2");
    drop((session, asleep, server));
}

/// Serves `alpha` with a preloaded library that makes syncs of the journal fail
/// while a file `sync` exists in the state directory.
fn with_faults(scratch: &TestDir) -> ServerProcess {
    let source = workspace_dir().join("host/journal/src/tests/faults.c");
    let library = scratch.path().join("faults.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .expect("Rust is linked by a C compiler");
    assert!(compiled.status.success(), "{compiled:?}");
    let state = scratch.at("state");
    // Both paths are readable with hardening.
    ServeCommand::fixtures(&["alpha"])
        .set("--state", &state)
        .set("--durability", "power")
        .start_in_shell(&format!(
            "export ORWD_FAULTS={state:?} LD_PRELOAD={library:?}"
        ))
}

#[test]
fn a_failed_sync_ends_the_server() {
    let scratch = TestDir::new();
    let mut server = with_faults(&scratch);
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    assert_eq!(bump(&session, 4), "4");
    scratch.write("state/sync", "");
    let mut stream = session.start("bump", json!({"by": 3}));
    let id = stream.task_id();
    let code = server.wait(TIMEOUT);
    let log = server.log();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the journal has stopped"), "{log}");
    assert!(log.contains("could not be synced"), "{log}");
    drop(stream);

    // Without the fault it continues from the acknowledged work.
    fs::remove_file(scratch.at("state/sync")).unwrap();
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--state", scratch.at("state"))
        .set("--durability", "power")
        .start();
    let again = server.ors().session("alpha", session.id());
    let body = json!({"name": "bump", "input": {"by": 3}, "task_id": id});
    let run: StreamTranscript = server.ors().transcript(&again.post_request("call", &body));
    assert_eq!(run.text(), "7", "{}", server.log());
    assert_eq!(bump(&again, 0), "7", "it ran once");
    session.leave_open();
}

/// Returns the journal's files in a state directory.
fn files(state: &str) -> Vec<String> {
    let entries = fs::read_dir(state).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("journal")).collect();
    names.sort();
    names
}

#[test]
fn a_clean_shutdown_leaves_one_file_that_can_be_replayed_and_resumed() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let state = scratch.at("state");
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    bump(&session, 3);
    session.call("reward", json!({"reward": 0.5}));
    assert!(files(&state).len() > 1, "{:?}", files(&state));
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0), "{}", server.log());
    assert_eq!(files(&state), ["journal.db"], "{}", server.log());

    let cache = target_dir().join("orwd-cache");
    let file = scratch.at("one.episode");
    let mut export = vec!["export", session.id(), "--state", &state, "-o", &file];
    export.push("--component");
    OrwdCommand::new(export).run().expect_success();
    for which in [vec![session.id(), "--state", &state], vec![&file]] {
        let mut arguments = vec!["replay"];
        arguments.extend(which);
        arguments.extend(["--cache", cache.to_str().unwrap()]);
        let same = OrwdCommand::new(arguments).timeout(TIMEOUT * 4).run();
        assert!(
            same.expect_success().contains("3 steps, 0 different"),
            "{same}"
        );
    }
    assert_eq!(files(&state), ["journal.db"], "readers leave no files");
    let _server = host.alpha();
    assert_eq!(bump(&session, 1), "4");
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_truncated_journal_keeps_a_prefix() {
    let scratch = TestDir::new();
    let mut host = RestartableServer::new(&scratch);
    let mut server = host.alpha();
    let ors = server.ors();
    let (one, two) = (
        ors.open("alpha", TaskSelector::At("train", 0)),
        ors.open("alpha", TaskSelector::At("train", 0)),
    );
    const ROUNDS: i64 = 12;
    for round in 1..=ROUNDS {
        assert_eq!(bump(&one, 1), round.to_string());
        assert_eq!(bump(&two, 1), round.to_string());
    }
    server.kill();
    drop(server);

    let (whole, state) = (scratch.path().join("whole"), scratch.path().join("state"));
    fs::rename(&state, &whole).unwrap();
    let log = fs::metadata(whole.join("journal.db-wal")).unwrap().len();
    let mut before = (ROUNDS, ROUNDS);
    for cut in (0..=10).rev() {
        copy(&whole, &state);
        // SQLite rebuilds the index from the write-ahead log.
        let _ = fs::remove_file(state.join("journal.db-shm"));
        // Odd sizes also truncate frames in the middle.
        let size = log * cut / 10;
        let size = if cut == 10 { size } else { size + 13 * cut };
        let file = File::options()
            .write(true)
            .open(state.join("journal.db-wal"))
            .unwrap();
        file.set_len(size.min(log)).unwrap();
        drop(file);
        let server = host.alpha();
        // SQLite takes a truncated log for a complete one; the host does not.
        match cut {
            10 => assert!(!server.log().contains("rolled back"), "{}", server.log()),
            _ => server.wait_for_log("journal rolled back"),
        }
        let counts = [&one, &two].map(|session| {
            if session.ping().status() == 404 {
                error_detail(&session.get("prompt"), 404);
                return 0;
            }
            bump(session, 0).parse().expect("a number")
        });
        let [a, b] = counts;
        // The sessions took turns, starting with the first.
        assert!(a == b || a == b + 1, "{counts:?} at {size} of {log}");
        assert!(
            a <= before.0 && b <= before.1,
            "{counts:?} after {before:?}"
        );
        before = (a, b);
        drop(server);
    }
    assert_eq!(before, (0, 0), "an empty log has no sessions");
    one.leave_open();
    two.leave_open();
}
