//! Each limit of what a session may use up, seen to bite: the call that ran
//! into it is told the limit by name, every later request gets 410 with the
//! same name, and others go on.
//!
//! Most stories are told twice: with the limit low the attack is stopped, and
//! with it high the very same attack succeeds. So it is that limit that stops
//! it, and not another, nor chance.

mod output;
mod space;
mod time;

use orwd_tests::artifacts::{binary, component};
use orwd_tests::command::Orwd;
use orwd_tests::expect::detail;
use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use orwd_tests::stream::Transcript;
use serde_json::{Value, json};

use crate::{folder, serve};

/// The limits by name, each with the story of it, which becomes a test.
macro_rules! stories {
    ($($limit:literal: $file:ident::$story:ident,)+) => {
        const STORIES: &[&str] = &[$($limit),+];
        $(
            #[test]
            fn $story() {
                $file::$story();
            }
        )+
    };
}

stories! {
    "memory": space::memory_is_bounded,
    "tables": space::tables_are_bounded,
    "handles": space::handles_are_bounded,
    "call-cpu": time::cpu_time_of_a_call,
    "call-wall": time::wall_time_of_a_call,
    "setup-cpu": time::cpu_time_of_setup,
    "setup-wall": time::wall_time_of_setup,
    "teardown-cpu": time::cpu_time_of_teardown,
    "teardown-wall": time::wall_time_of_teardown,
    "result-limit": output::size_of_a_result,
    "host-call-limit": output::size_of_what_is_handed_over,
    "json-depth": output::levels_of_json,
    "guest-log-limit": output::log_of_a_call,
    "guest-log-total": output::log_of_a_session,
    "disk": space::disk_is_bounded,
    "files": space::files_are_bounded,
    "open-files": space::open_files_are_bounded,
    "journal-limit": space::journal_is_bounded,
}

fn open(ors: &Ors, environment: &str, spec: Value) -> Session {
    ors.open(environment, Task::Spec(spec))
}

/// A session on a server of its own, with these flags.
fn alone(environment: &str, flags: &[(&str, &str)]) -> (orwd_tests::server::Server, Session) {
    let serve = Serve::fixtures(&[environment]);
    let server = flags
        .iter()
        .fold(serve, |serve, (flag, value)| serve.set(flag, *value))
        .start();
    let session = open(&server.ors(), environment, json!({}));
    (server, session)
}

/// The call ended in this fault and took its session with it.
#[track_caller]
fn faulted(session: &Session, call: &Transcript, code: &str) {
    assert_eq!(call.names(), ["task_id", "error"]);
    let told = call.error();
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    let later = session.post("call", &json!({"name": "noargs", "input": {}}));
    let gone = detail(&later, 410);
    assert!(gone.starts_with(&format!("{code}: ")), "{gone}");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

/// The names of the limits in an object that shows them.
fn names(limits: &Value) -> Vec<&str> {
    let limits = limits.as_object().expect("an object of limits");
    assert!(limits.values().all(Value::is_string), "{limits:?}");
    limits.keys().map(String::as_str).collect()
}

#[test]
fn every_limit_has_its_story() {
    let server = Serve::fixtures(&["alpha", "chat"]).start();
    let version = server.ors().get("/version").json();
    let inspected = Orwd::new([
        "inspect".as_ref(),
        "--json".as_ref(),
        component("alpha").as_os_str(),
    ])
    .run();
    let inspected: Value = serde_json::from_str(inspected.succeeds()).expect("JSON");
    let help = Orwd::new(["serve", "--help"]).run();
    let flags: Vec<&str> = help
        .succeeds()
        .split("Limits of a session:")
        .nth(1)
        .and_then(|rest| rest.split("\nSessions that outlive the server:").next())
        .expect("a heading of the help")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(flags, STORIES, "{}", binary().display());
    assert_eq!(names(&inspected["limits"]), STORIES);
    for environment in version["environments"].as_array().expect("a list") {
        assert_eq!(names(&environment["limits"]), STORIES);
    }
}

#[test]
fn what_is_in_force_is_shown_to_whoever_may_use_it() {
    let scratch = Scratch::new();
    let tables = "[limits]\nmemory = \"64MiB\"\nhandles = 100\ncall-cpu = \"1h\"";
    let narrow = folder(&scratch, "narrow", "alpha", "", tables);
    let wide = folder(&scratch, "wide", "alpha", "", "");
    let server = serve(&narrow)
        .and(&wide)
        .set("--call-cpu", "3s")
        .set("--disk", "5MiB")
        .start();
    let answer = server.ors().get("/version");
    assert!(!answer.text().contains('/'), "a path in {}", answer.text());
    let version = answer.json();
    assert_eq!(version["name"], "orwd");
    let engine = version["engine"].as_str().expect("the engine");
    assert!(engine.starts_with("wasmtime 48."), "{engine}");
    let limit = |environment: usize, name: &str| {
        version["environments"][environment]["limits"][name].clone()
    };
    assert_eq!(version["environments"][0]["name"], "narrow");
    assert_eq!(limit(0, "memory"), "64MiB");
    assert_eq!(limit(1, "memory"), "256MiB");
    assert_eq!(limit(0, "handles"), "100");
    assert_eq!(limit(1, "handles"), "1024");
    for environment in [0, 1] {
        // An environment does not get more than its operator gives.
        assert_eq!(limit(environment, "call-cpu"), "3s");
        assert_eq!(limit(environment, "disk"), "5MiB");
    }
    server.logs("the manifest asks for call-cpu = 1h");

    let inspected = Orwd::new(
        ["inspect", "--json", "--disk", "5MiB", "--call-cpu", "3s"]
            .into_iter()
            .chain(["--no-build", narrow.as_str()]),
    )
    .run();
    let inspected: Value = serde_json::from_str(inspected.succeeds()).expect("JSON");
    assert_eq!(inspected["limits"], version["environments"][0]["limits"]);
}

#[test]
fn sessions_in_all() {
    for flags in [
        // None can leave the memory where nothing is written down,
        [("--max-sessions", "2"), ("--durability", "none")],
        // or where they are to stay;
        [("--max-sessions", "2"), ("--hibernate-after", "never")],
        // and where they can, there may be so many all the same.
        [("--max-sessions", "1"), ("--max-open-sessions", "2")],
    ] {
        two_and_no_more(&flags);
    }
}

fn two_and_no_more(flags: &[(&str, &str)]) {
    let mut server = Serve::fixtures(&["alpha"]);
    for (flag, value) in flags {
        server = server.set(flag, *value);
    }
    let server = server.start();
    let ors = server.ors();
    let first = open(&ors, "alpha", json!({}));
    // One that is being set up cannot make room.
    assert_eq!(first.call("noargs", json!({})).text(), "noargs ok");
    let second = open(&ors, "alpha", json!({}));
    let refused = ors.create("third", &json!({"task_spec": {}}));
    detail(&refused, 503);
    let seconds = refused.header("retry-after").expect("a Retry-After");
    assert!(seconds.parse::<u64>().is_ok(), "{seconds}");
    // It is not the sessions that suffer, and a place that is free is free.
    assert_eq!(second.call("noargs", json!({})).text(), "noargs ok");
    first.delete();
    let third = open(&ors, "alpha", json!({}));
    assert_eq!(third.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_server_takes_as_many_descriptors_as_it_may() {
    let server = Serve::fixtures(&["alpha"]).start_after("ulimit -Sn 100");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut numbers = line.unwrap().split_whitespace().skip(3);
    let (soft, hard) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert_eq!(soft, hard);
    assert_ne!(soft, "100");
}
