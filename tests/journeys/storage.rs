//! What becomes of the directory of state: a disk that is full or does not
//! sync, files that are cut short, and an end in peace. Whatever it is, what
//! was acknowledged is there, or is refused in words.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use orwd_tests::artifacts::{target_dir, workspace};
use orwd_tests::command::Orwd;
use orwd_tests::expect::detail;
use orwd_tests::ors::{Ors, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use orwd_tests::stream::Transcript;
use rustix::process::Signal;
use serde_json::json;

use crate::SOON;
use crate::durable::{Host, bump, until};

/// A small disk, if this user may have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(scratch: &Scratch) -> Option<SmallDisk> {
        let place = scratch.path().join("disk");
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&place)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(place)),
            other => {
                eprintln!("LEFT OUT: this user may not mount a small disk: {other:?}");
                None
            }
        }
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
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// Asks until a creation is refused for want of space, and gives the sessions
/// that were acknowledged until then.
fn create_until_refused(ors: &Ors) -> Vec<Session> {
    let mut created = Vec::new();
    loop {
        let id = fresh_id();
        let answer = ors.create(&id, &Task::At("train", 0).body("alpha"));
        if answer.status() == 503 {
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
            // It is not there, half or whole.
            assert_eq!(ors.touch(&id, "/ping").status(), 404);
            return created;
        }
        assert_eq!(answer.status(), 200, "{answer:?}");
        created.push(ors.session("alpha", &id));
        assert!(created.len() < 500, "the disk is full");
    }
}

#[test]
fn a_full_disk_refuses_new_work_and_loses_nothing() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::new(&scratch) else {
        return;
    };
    let state = scratch.at("disk/state");
    let mut host = Host::new(&scratch).set("--state", &state);
    let mut server = host.alpha();
    let ors = server.ors();
    let (one, two) = (
        ors.open("alpha", Task::At("train", 0)),
        ors.open("alpha", Task::At("train", 0)),
    );
    assert_eq!((bump(&one, 1), bump(&two, 10)), ("1".into(), "10".into()));

    disk.fill();
    let created = create_until_refused(&ors);
    // A call gets its id, and no answer that could be lost again.
    let mut stream = one.start("bump", json!({"by": 5}));
    let id = stream.task_id();
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.next_event()));
    assert!(!matches!(broken, Ok(Some(_))), "{broken:?}");
    assert_eq!(one.ping().status(), 200);
    server.logs("no space left");

    disk.free();
    until(|| {
        let body = json!({"name": "bump", "input": {"by": 5}, "task_id": id});
        let answer = ors.client().try_ask(&one.post_request("call", &body));
        answer.is_ok_and(|answer| answer.status() == 200 && answer.text().contains("end"))
    });
    assert_eq!(one.resume(&id).text(), "6", "once");
    assert_eq!(bump(&one, 0), "6");
    let late = ors.open("alpha", Task::At("train", 0));
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
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::new(&scratch) else {
        return;
    };
    let state = scratch.at("disk/state");
    let mut host = Host::new(&scratch).set("--state", &state);
    let mut server = host.alpha();
    let ors = server.ors();
    let session = ors.open("alpha", Task::At("train", 0));
    let asleep = ors.open("alpha", Task::At("train", 0));
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
    server.logs("the end of a session is not in the journal");
    disk.free();
    // Its id is free, as soon as its end is written.
    let body = Task::At("train", 0).body("alpha");
    until(|| {
        let answer = ors.create(session.id(), &body);
        assert!(matches!(answer.status(), 200 | 503), "{answer:?}");
        answer.status() == 200
    });
    assert_eq!(bump(&session, 0), "0", "another life");
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

/// Starts the fixture `alpha` with a library that makes syncs of the journal
/// fail while there is a file `sync` in its state.
fn with_faults(scratch: &Scratch) -> Server {
    let source = workspace().join("host/journal/src/tests/faults.c");
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
    // What the walls allow it to see.
    Serve::fixtures(&["alpha"])
        .set("--state", &state)
        .set("--durability", "power")
        .start_after(&format!(
            "export ORWD_FAULTS={state:?} LD_PRELOAD={library:?}"
        ))
}

#[test]
fn a_disk_that_does_not_sync_ends_the_server() {
    let scratch = Scratch::new();
    let mut server = with_faults(&scratch);
    let session = server.ors().open("alpha", Task::At("train", 0));
    assert_eq!(bump(&session, 4), "4");
    scratch.write("state/sync", "");
    let mut stream = session.start("bump", json!({"by": 3}));
    let id = stream.task_id();
    let code = server.wait(SOON);
    let log = server.log();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the journal has stopped"), "{log}");
    assert!(log.contains("could not be synced"), "{log}");
    drop(stream);

    // With a disk that does, it goes on from what was acknowledged.
    fs::remove_file(scratch.at("state/sync")).unwrap();
    let server = Serve::fixtures(&["alpha"])
        .set("--state", scratch.at("state"))
        .set("--durability", "power")
        .start();
    let again = server.ors().session("alpha", session.id());
    let body = json!({"name": "bump", "input": {"by": 3}, "task_id": id});
    let run: Transcript = server.ors().transcript(&again.post_request("call", &body));
    assert_eq!(run.text(), "7", "{}", server.log());
    assert_eq!(bump(&again, 0), "7", "once");
    session.forget();
}

/// The files of a state directory, but for a running server's.
fn files(state: &str) -> Vec<String> {
    let entries = fs::read_dir(state).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("journal")).collect();
    names.sort();
    names
}

#[test]
fn an_end_in_peace_leaves_one_file_which_can_be_read_and_gone_on_with() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let state = scratch.at("state");
    let session = server.ors().open("alpha", Task::At("train", 0));
    bump(&session, 3);
    session.call("reward", json!({"reward": 0.5}));
    assert!(files(&state).len() > 1, "{:?}", files(&state));
    server.signal(Signal::TERM);
    assert_eq!(server.wait(SOON), Some(0), "{}", server.log());
    assert_eq!(files(&state), ["journal.db"], "{}", server.log());

    let cache = target_dir().join("orwd-cache");
    let file = scratch.at("one.episode");
    let mut export = vec!["export", session.id(), "--state", &state, "-o", &file];
    export.push("--component");
    Orwd::new(export).run().succeeds();
    for which in [vec![session.id(), "--state", &state], vec![&file]] {
        let mut arguments = vec!["replay"];
        arguments.extend(which);
        arguments.extend(["--cache", cache.to_str().unwrap()]);
        let same = Orwd::new(arguments).patience(SOON * 4).run();
        assert!(same.succeeds().contains("3 steps, 0 different"), "{same}");
    }
    assert_eq!(files(&state), ["journal.db"], "readers leave no trace");
    let _server = host.alpha();
    assert_eq!(bump(&session, 1), "4");
}

/// Copies a folder, without what is not there any more.
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
fn a_journal_that_was_cut_anywhere_gives_a_beginning_and_nothing_else() {
    let scratch = Scratch::new();
    let mut host = Host::new(&scratch);
    let mut server = host.alpha();
    let ors = server.ors();
    let (one, two) = (
        ors.open("alpha", Task::At("train", 0)),
        ors.open("alpha", Task::At("train", 0)),
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
        // The index of the log is made again from the log.
        let _ = fs::remove_file(state.join("journal.db-shm"));
        // Odd sizes, so that frames are cut in their middle as well.
        let size = log * cut / 10;
        let size = if cut == 10 { size } else { size + 13 * cut };
        let file = File::options()
            .write(true)
            .open(state.join("journal.db-wal"))
            .unwrap();
        file.set_len(size.min(log)).unwrap();
        drop(file);
        let server = host.alpha();
        let counts = [&one, &two].map(|session| {
            if session.ping().status() == 404 {
                detail(&session.get("prompt"), 404);
                return 0;
            }
            bump(session, 0).parse().expect("a number")
        });
        let [a, b] = counts;
        // They took turns, and the first began.
        assert!(a == b || a == b + 1, "{counts:?} at {size} of {log}");
        assert!(
            a <= before.0 && b <= before.1,
            "{counts:?} after {before:?}"
        );
        before = (a, b);
        drop(server);
    }
    assert_eq!(before, (0, 0), "an empty log holds nothing");
    one.forget();
    two.forget();
}
