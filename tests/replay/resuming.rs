//! Sessions that come back into a server that is not quite what it was, or in
//! the middle of their end.

use std::time::Duration;

use orwd_tests::expect::{NO_SESSION, detail, refuses};
use orwd_tests::later::{Later, wait_until};
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use serde_json::json;

/// Longer than anything takes that is going to happen at all.
const SOON: Duration = Duration::from_secs(60);

fn start(scratch: &Scratch, address: &str, fixture: &str, flags: &[(&str, &str)]) -> Server {
    let serve = Serve::fixtures(&[fixture]).set("--state", scratch.at("state"));
    let serve = flags
        .iter()
        .fold(serve, |serve, (flag, value)| serve.set(flag, *value));
    serve.start_at(address)
}

#[test]
fn a_session_keeps_memory_that_others_do_not_get_any_more() {
    let scratch = Scratch::new();
    let mut server = start(&scratch, "127.0.0.1:0", "greedy", &[("--memory", "256MiB")]);
    let address = server.address().to_owned();
    let session = server.ors().open("greedy", Task::Spec(json!({})));
    let eat = |mib: u64| session.call("eat", json!({"mib": mib}));
    assert_eq!(eat(100).text(), "ate 100");
    // Twice, since a start must not forget what the last one knew.
    for _ in 0..2 {
        server.kill();
        server = start(&scratch, &address, "greedy", &[("--memory", "32MiB")]);
        assert_eq!(eat(110).text(), "ate 110", "{}", server.log());
    }
    let other = server.ors().open("greedy", Task::Spec(json!({})));
    let refused = other.call("eat", json!({"mib": 100}));
    assert!(refused.error().contains("memory"), "{refused:?}");
}

#[test]
fn a_session_that_was_being_torn_down_is_at_its_end() {
    let scratch = Scratch::new();
    let flags = [("--teardown-wall", "8s")];
    let mut server = start(&scratch, "127.0.0.1:0", "hostile", &flags);
    let address = server.address().to_owned();
    let task = json!({"where": "teardown", "how": "sleep_forever"});
    let session = server.ors().open("hostile", Task::Spec(task));
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    let ors = server.ors();
    let id = session.id().to_owned();
    let deleting = Later::run(move || ors.try_post_as(&id, "/delete", &json!({})).is_ok());
    let ors = server.ors();
    let shown = || ors.get(&format!("/orwd/sessions/{}", session.id())).json();
    wait_until("the teardown is in the journal", SOON, || {
        let steps = shown()["steps"].clone();
        let last = steps.as_array().and_then(|steps| steps.last().cloned());
        last.is_some_and(|last| last["kind"] == "teardown")
    });
    server.kill();
    deleting.get();

    // It is not called after its teardown, which is done to its end.
    let mut server = start(&scratch, &address, "hostile", &flags);
    refuses(&session.get("prompt"), 410, "Session deleted");
    server.kill();
    let server = start(&scratch, &address, "hostile", &flags);
    refuses(&session.ping(), 404, NO_SESSION);
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
fn sessions_whose_setup_failed_take_nobodys_place() {
    let scratch = Scratch::new();
    let flags = [("--max-sessions", "2")];
    let mut server = start(&scratch, "127.0.0.1:0", "broken", &flags);
    let address = server.address().to_owned();
    let open = |server: &Server, place: &str| {
        let session = server
            .ors()
            .open("broken", Task::Spec(json!({"where": place})));
        (session.get("prompt").status(), session)
    };
    let failed: Vec<_> = (0..5).map(|_| open(&server, "setup")).collect();
    let said = detail(&failed[0].1.get("prompt"), 500);
    assert!(said.contains("setup exploded"), "{said}");
    for restart in [false, true] {
        if restart {
            server.kill();
            server = start(&scratch, &address, "broken", &flags);
        }
        for (status, session) in &failed {
            assert_eq!(*status, 500);
            assert_eq!(detail(&session.get("prompt"), 500), said);
        }
        assert_eq!(open(&server, "nowhere").0, 200, "{}", server.log());
    }
    for (_, session) in &failed {
        assert_eq!(session.delete().status(), 200);
    }
}
