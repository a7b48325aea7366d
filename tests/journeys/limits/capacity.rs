//! What the host lacks is known at its start or answered with 503, and it never
//! ends a session.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use orwd_tests::background::run_concurrently;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::{ServeCommand, ServerProcess};
use orwd_tests::requirement;
use orwd_tests::test_dir::TestDir;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use super::support::open;
use crate::support::TIMEOUT;

/// Creates sessions until the server refuses one, which it must do with 503 and
/// `Retry-After`; those that exist continue.
fn fill(server: &ServerProcess, most: usize) -> usize {
    let ors = server.ors();
    let task = TaskSelector::At("train", 0).body("alpha");
    let mut sessions: Vec<SessionClient> = Vec::new();
    let refused = loop {
        let id = fresh_id();
        let response = ors.create(&id, &task);
        if response.status() != 200 {
            break response;
        }
        sessions.push(ors.session("alpha", &id));
        assert!(sessions.len() <= most, "nothing was refused");
    };
    error_detail(&refused, 503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for session in &sessions {
        assert_eq!(session.call("bump", json!({})).text(), "1");
    }
    sessions.len()
}

#[test]
fn a_server_offers_no_more_sessions_than_it_can_map() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--max-sessions", "1000000")
        .set("--max-open-sessions", "1000000")
        .start();
    server.wait_for_log("session limit lowered");
    let session = open(&server.ors(), "alpha", json!({}));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_small_address_space_lowers_the_number_of_sessions() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--max-sessions", "64")
        .set("--hibernate-after", "never")
        // In kibibytes: 40 GiB, of which a session takes more than four.
        .start_in_shell("ulimit -v 41943040");
    server.wait_for_log("session limit lowered");
    let fitted = fill(&server, 9);
    assert!((4..=8).contains(&fitted), "{fitted}");
}

#[test]
fn few_descriptors_lower_the_number_of_sessions() {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--hibernate-after", "never")
        .start_in_shell("ulimit -n 280");
    server.wait_for_log("session limit lowered");
    assert_eq!(fill(&server, 16), 6);
}

/// Returns the descriptors of a process, once none was closed for a while: the
/// connections of earlier requests end a little later than these.
fn descriptors(server: &ServerProcess) -> BTreeSet<u64> {
    let listed = || -> BTreeSet<u64> {
        let listed = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a live process");
        listed
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    };
    let mut before = listed();
    let mut unchanged = 0;
    while unchanged < 10 {
        std::thread::sleep(Duration::from_millis(20));
        let now = listed();
        unchanged = if now == before { unchanged + 1 } else { 0 };
        before = now;
    }
    before
}

/// Returns the limit under which a process can open this many more descriptors.
fn limit_for(server: &ServerProcess, more: usize) -> u64 {
    let used = descriptors(server);
    let mut free = (0..).filter(|number| !used.contains(number));
    free.nth(more).expect("there is always another number")
}

#[test]
fn a_descriptor_that_the_host_lacks_ends_no_session() {
    let server = ServeCommand::fixtures(&["files"])
        // Shows its descriptors to the test.
        .set("--hardening", "off")
        .start();
    let session = open(&server.ors(), "files", json!({}));
    let write = json!({"path": "/tmp/kept", "text": "before"});
    session.call("write", write);
    // More than a session keeps in memory.
    let body = json!({
        "name": "fill",
        "input": {"path": "/tmp/big", "piece": 1 << 20, "count": 4}
    });
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let limit = |current| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current, maximum };
        prlimit(pid, Resource::Nofile, limit).expect("the limit of a child can be changed")
    };
    // One for the connection, and none for the file.
    let usual = limit(Some(limit_for(&server, 1)));
    let call = || {
        let answer = session
            .ors()
            .try_post_as(session.id(), "/files/call", &body);
        answer.map(|answer| answer.text().to_owned())
    };
    let lacking = call();
    limit(usual.current);
    // The stream breaks off, without a word about the environment.
    let said = lacking.unwrap_or_default();
    assert!(
        !said.contains("event: end") && !said.contains("env_"),
        "{said}"
    );
    server.wait_for_log("request has no response");
    let start = Instant::now();
    while !call().is_ok_and(|text| text.contains("event: end")) {
        assert!(start.elapsed() < TIMEOUT, "{}", server.log());
    }
    let kept = session.call("read", json!({"path": "/tmp/kept"})).text();
    assert!(kept.contains("before"), "{kept}");
}

/// Guests that grow together exceed any memory. They are stopped, new sessions
/// get a 503, and every session continues when there is memory again.
#[test]
fn memory_that_the_host_lacks_ends_no_session() {
    if !rustix::process::geteuid().is_root() {
        requirement::skip("only root may mount", "run the tests as root");
        return;
    }
    let scratch = TestDir::new();
    let machine = scratch.write("meminfo", "MemTotal:  1048576 kB\n");
    let machine = machine.display();
    // As on a machine of one gibibyte.
    let server = ServeCommand::fixtures(&["consumer"])
        // More than the machine has.
        .set("--guest-memory", "64GiB")
        .start_in_shell(&format!(
            "exec unshare -m sh -c 'mount --bind {machine} /proc/meminfo && exec \"$0\" \"$@\"' \
             \"$0\" \"$@\""
        ));
    let ors = server.ors();
    let sessions: Vec<SessionClient> = (0..24)
        .map(|_| ors.open("consumer", TaskSelector::Spec(json!({}))))
        .collect();
    let eat = |mib: usize| json!({"name": "eat", "input": {"mib": mib}});
    run_concurrently(sessions.iter().map(|session| {
        let (ors, id, body) = (ors.clone(), session.id().to_owned(), eat(120));
        move || {
            // Some streams break off, and none says that a session has ended.
            let answer = ors.try_post_as(&id, "/consumer/call", &body);
            let said = answer.map_or_else(|_| String::new(), |answer| answer.text().to_owned());
            assert!(!said.contains("limit_") && !said.contains("env_"), "{said}");
        }
    }));
    server.wait_for_log("memory short");
    let start = Instant::now();
    for session in &sessions {
        let body = eat(1);
        let call = || ors.try_post_as(session.id(), "/consumer/call", &body);
        while !call().is_ok_and(|answer| answer.text().contains("ate 1\"")) {
            assert!(start.elapsed() < TIMEOUT, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
