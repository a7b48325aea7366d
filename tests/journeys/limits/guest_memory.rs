//! The guests of one owner have their share of the memory, and no more.

use orwd_tests::background::{run_concurrently, wait_until};
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{SessionClient, fresh_id};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use super::support::open;
use crate::support::TIMEOUT;

/// What each guest grows by.
const EAT: usize = 20;

fn eat(session: &SessionClient) {
    let eaten = session.call("eat", json!({"mib": EAT})).text();
    assert_eq!(eaten, format!("ate {EAT}"));
}

#[test]
fn a_key_whose_guests_take_its_share_waits_for_itself_alone() {
    let scratch = TestDir::new();
    let keys = scratch.at("keys.toml");
    let [alice, mallory] = ["alice", "mallory"].map(|name| {
        let made = OrwdCommand::new(["keys", "new", name, "--api-keys", &keys]).run();
        made.expect_success().trim_end().to_owned()
    });
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--api-keys", &keys)
        .set("--guest-memory", "64MiB")
        .set("--setup-wait", "1s")
        // Nothing makes room by itself.
        .set("--hibernate-after", "never")
        .start();
    let [alice, mallory] = [alice, mallory].map(|key| server.ors().with_api_key(&key));
    let first = open(&mallory, "consumer", json!({}));
    let second = open(&mallory, "consumer", json!({}));
    eat(&first);
    eat(&second);
    let small = json!({"name": "burn", "input": {"millions": 1}});
    let refused = first.post("call", &small);
    let reason = error_detail(&refused, 503);
    assert!(reason.contains("--guest-memory"), "{reason}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let body = json!({"env_name": "consumer", "task_spec": {}});
    error_detail(&mallory.create(&fresh_id(), &body), 503);
    let other = open(&alice, "consumer", json!({}));
    eat(&other);
    // It goes on when one of its sessions has ended.
    assert_eq!(second.delete().status(), 200);
    wait_until("there is memory", TIMEOUT, || {
        first.post("call", &small).status() == 200
    });
}

#[test]
fn idle_sessions_of_a_key_make_room_for_its_others() {
    let server = ServeCommand::fixtures(&["consumer"])
        .set("--guest-memory", "64MiB")
        .start();
    let ors = server.ors();
    let sessions: Vec<SessionClient> = (0..12).map(|_| open(&ors, "consumer", json!({}))).collect();
    // All at once: those without memory wait for the others to end.
    run_concurrently(sessions.iter().map(|session| {
        let session = ors.session("consumer", session.id());
        move || {
            eat(&session);
            session.leave_open();
        }
    }));
    let state = |session: &SessionClient| {
        let seen = ors.get(&format!("/orwd/sessions/{}", session.id()));
        seen.json()["state"].as_str().map(str::to_owned)
    };
    let asleep = sessions
        .iter()
        .filter(|session| state(session).as_deref() == Some("asleep"));
    let asleep = asleep.count();
    assert!(asleep >= 8, "{asleep} of {} are asleep", sessions.len());
    for session in &sessions {
        let burnt = session.call("burn", json!({"millions": 1}));
        assert_eq!(burnt.text(), "burnt 1");
    }
}
