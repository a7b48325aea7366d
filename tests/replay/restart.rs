//! Sessions that are resumed by a server with other limits, or during their
//! deletion.

use std::time::Duration;

use orwd_tests::background::{BackgroundTask, wait_until};
use orwd_tests::expect::{NO_SESSION, assert_error, error_detail};
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

/// Longer than any expected event takes.
const TIMEOUT: Duration = Duration::from_secs(60);

fn start(scratch: &TestDir, address: &str, fixture: &str, flags: &[(&str, &str)]) -> ServerProcess {
    let serve = ServeCommand::fixtures(&[fixture]).set("--state", scratch.at("state"));
    let serve = flags
        .iter()
        .fold(serve, |serve, (flag, value)| serve.set(flag, *value));
    serve.start_at(address)
}

#[test]
fn a_session_keeps_its_memory_limit_after_a_restart() {
    let scratch = TestDir::new();
    let mut server = start(
        &scratch,
        "127.0.0.1:0",
        "consumer",
        &[("--memory", "256MiB")],
    );
    let address = server.address().to_owned();
    let session = server.ors().open("consumer", TaskSelector::Spec(json!({})));
    let eat = |mib: u64| session.call("eat", json!({"mib": mib}));
    assert_eq!(eat(100).text(), "ate 100");
    // Twice, since the second start must know the limit as well.
    for _ in 0..2 {
        server.kill();
        server = start(&scratch, &address, "consumer", &[("--memory", "32MiB")]);
        assert_eq!(eat(110).text(), "ate 110", "{}", server.log());
    }
    let other = server.ors().open("consumer", TaskSelector::Spec(json!({})));
    let refused = other.call("eat", json!({"mib": 100}));
    assert!(refused.error().contains("memory"), "{refused:?}");
}

#[test]
fn an_interrupted_teardown_is_completed_after_a_restart() {
    let scratch = TestDir::new();
    let flags = [("--teardown-wall", "8s")];
    let mut server = start(&scratch, "127.0.0.1:0", "hostile", &flags);
    let address = server.address().to_owned();
    let task = json!({"where": "teardown", "how": "sleep_forever"});
    let session = server.ors().open("hostile", TaskSelector::Spec(task));
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    let ors = server.ors();
    let id = session.id().to_owned();
    let deleting =
        BackgroundTask::spawn(move || ors.try_post_as(&id, "/delete", &json!({})).is_ok());
    let ors = server.ors();
    let shown = || ors.get(&format!("/orwd/sessions/{}", session.id())).json();
    wait_until("the teardown is in the journal", TIMEOUT, || {
        let steps = shown()["steps"].clone();
        let last = steps.as_array().and_then(|steps| steps.last().cloned());
        last.is_some_and(|last| last["kind"] == "teardown")
    });
    server.kill();
    deleting.join();

    // No call runs after the teardown, which is completed.
    let mut server = start(&scratch, &address, "hostile", &flags);
    assert_error(&session.get("prompt"), 410, "Session deleted");
    server.kill();
    let server = start(&scratch, &address, "hostile", &flags);
    assert_error(&session.ping(), 404, NO_SESSION);
    assert_eq!(shown()["state"], "deleted");
    let steps = shown()["steps"].clone();
    let kinds: Vec<&str> = steps
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| step["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds, ["setup", "call", "teardown"], "{}", server.log());
}

#[test]
fn sessions_with_a_failed_setup_use_no_slot() {
    let scratch = TestDir::new();
    let flags = [("--max-sessions", "2")];
    let mut server = start(&scratch, "127.0.0.1:0", "broken", &flags);
    let address = server.address().to_owned();
    let open = |server: &ServerProcess, place: &str| {
        let session = server
            .ors()
            .open("broken", TaskSelector::Spec(json!({"where": place})));
        (session.get("prompt").status(), session)
    };
    let failed: Vec<_> = (0..5).map(|_| open(&server, "setup")).collect();
    let said = error_detail(&failed[0].1.get("prompt"), 500);
    assert!(said.contains("setup exploded"), "{said}");
    for restart in [false, true] {
        if restart {
            server.kill();
            server = start(&scratch, &address, "broken", &flags);
        }
        for (status, session) in &failed {
            assert_eq!(*status, 500);
            assert_eq!(error_detail(&session.get("prompt"), 500), said);
        }
        assert_eq!(open(&server, "nowhere").0, 200, "{}", server.log());
    }
    for (_, session) in &failed {
        assert_eq!(session.delete().status(), 200);
    }
}
