//! Attacks on the disk of the journal: large results, requests and forks.

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use serde_json::json;

use crate::harness::{AttackHarness, ProcessStats};

const FLAGS: [&str; 4] = ["--max-disk-per-key", "24MiB", "--create-rate", "1000000"];

/// Bytes of a large result.
const LARGE: usize = 4_000_000;

fn open(ors: &OrsClient) -> SessionClient {
    ors.open("alpha", TaskSelector::At("train", 0))
}

/// Calls until the quota is reached, and returns how often that worked.
fn fill(session: &SessionClient) -> usize {
    let input = json!({"name": "big", "input": {"unit": "x", "count": LARGE}});
    for calls in 0..100 {
        let response = session.post("call", &input);
        if response.status() != 200 {
            let text = response.text();
            assert_eq!(response.status(), 403, "{text}");
            assert!(text.contains("disk quota exceeded"), "{text}");
            return calls;
        }
    }
    panic!("100 results of 4 MB were written");
}

#[test]
fn disk() {
    let mut harness = AttackHarness::new("disk", &[], &[], &FLAGS);
    harness.case(
        "results of 4 MB until the disk is full",
        "max-disk-per-key; the key's own ended sessions are removed first",
        |ors| {
            let calls = fill(&open(ors));
            assert!(calls < 10, "{calls}");
            // Its end makes space for the next one, which removes it.
            let calls = fill(&open(ors));
            assert!((1..10).contains(&calls), "{calls}");
            format!("403 after {calls} results")
        },
    );
    harness.case(
        "twelve sessions with results of 4 MB at once",
        "fair turns in the journal's queue; the quota counts results that run",
        |ors| {
            let sessions: Vec<SessionClient> = (0..12).map(|_| open(ors)).collect();
            let written = run_concurrently(sessions.iter().map(|session| {
                let session = ors.session("alpha", session.id());
                move || {
                    let input = json!({"name": "big", "input": {"unit": "x", "count": LARGE}});
                    // A call that was announced and then found no space is cut off.
                    let call = || {
                        let ors = session.ors();
                        ors.try_post_as(session.id(), "/alpha/call", &input)
                    };
                    let written = (0..3)
                        .filter(|_| call().is_ok_and(|response| response.status() == 200))
                        .count();
                    session.leave_open();
                    written
                }
            }));
            let written: usize = written.into_iter().sum();
            assert!(
                written <= 12,
                "{written} results of 4 MB in a quota of 24 MiB"
            );
            format!("{written} results")
        },
    );
    let pid = harness.server().pid();
    let before = ProcessStats::of(pid).memory;
    harness.case(
        "forks of a large session",
        "forks share their past",
        |ors| {
            let parent = open(ors);
            for _ in 0..4 {
                let input = json!({"name": "big", "input": {"unit": "x", "count": LARGE}});
                assert_eq!(parent.post("call", &input).status(), 200);
            }
            let path = format!("/orwd/sessions/{}/fork", parent.id());
            let forked = ors.post(&path, &json!({"count": 20}));
            assert_eq!(forked.status(), 200, "{}", forked.text());
            let forked = forked.json();
            let ids = forked["sessions"].as_array().expect("a list").iter();
            let children: Vec<SessionClient> = ids
                .map(|id| ors.session("alpha", id.as_str().unwrap()))
                .collect();
            assert_eq!(children.len(), 20);
            // While all are open: the memory of each guest has grown to about 12 MB by
            // its large results. Its past beside it would be 16 MB more.
            let held = ProcessStats::of(pid).memory.saturating_sub(before) >> 20;
            assert!(held < 400, "20 open forks hold {held} MiB");
            for session in children.iter().chain([&parent]) {
                session.delete();
            }
            format!("20 forks of 16 MB in a quota of 24 MiB, which hold {held} MiB while open")
        },
    );
    harness.case(
        "many small sessions that are ended at once",
        "the ended ones are removed, the oldest first",
        |ors| {
            for _ in 0..50 {
                let session = open(ors);
                let spec = json!({"padding": "x".repeat(800_000)});
                ors.open("alpha", TaskSelector::Spec(spec)).delete();
                session.delete();
            }
            let left = open(ors);
            let alive = left.call("noargs", json!({}));
            format!("still served: {}", alive.text())
        },
    );
    harness.end();
}
