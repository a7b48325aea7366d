//! Each limit of what a session may use up, seen to bite: the call that ran
//! into it is told the limit by name, every later request gets 410 with the
//! same name, and others go on.

use orwd_tests::expect::detail;
use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::server::Serve;
use orwd_tests::stream::Transcript;
use serde_json::{Value, json};

fn open(ors: &Ors, environment: &str, spec: Value) -> Session {
    ors.open(environment, Task::Spec(spec))
}

/// The call ended in this fault and took its session with it.
#[track_caller]
fn faulted(session: &Session, call: &Transcript, code: &str) {
    assert_eq!(call.names(), ["task_id", "error"]);
    let told = call.error();
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    let later = session.post("call", &json!({"name": "noargs", "input": {}}));
    let gone = detail(&later, 410);
    assert!(gone.contains(code), "{gone}");
    assert_eq!(session.delete().status(), 200);
    assert_eq!(session.ping().status(), 404);
}

#[test]
fn wall_time_of_a_call() {
    let server = Serve::fixtures(&["alpha"])
        .set("--call-wall", "1s")
        .set("--call-cpu", "300ms")
        .start();
    let ors = server.ors();
    let session = open(&ors, "alpha", json!({}));
    let call = session.call("sleep", json!({"ms": 20_000}));
    faulted(&session, &call, "limit_wall");

    // To wait is not to compute, and each call has its own time.
    let session = open(&ors, "alpha", json!({}));
    for _ in 0..4 {
        let slept = session.call("sleep", json!({"ms": 400}));
        assert!(slept.text().contains("start"));
    }
}

#[test]
fn cpu_time_of_a_call() {
    let server = Serve::fixtures(&["hostile"])
        .set("--call-cpu", "300ms")
        .start();
    let ors = server.ors();
    let session = open(&ors, "hostile", json!({}));
    let call = session.call("act", json!({"how": "loop"}));
    faulted(&session, &call, "limit_cpu");

    let session = open(&ors, "hostile", json!({}));
    for _ in 0..20 {
        assert_eq!(session.call("fine", json!({})).names(), ["task_id", "end"]);
    }
}

#[test]
fn wall_and_cpu_time_of_setup() {
    let server = Serve::fixtures(&["slow", "hostile"])
        .set("--setup-wall", "1s")
        .set("--setup-cpu", "300ms")
        .start();
    let ors = server.ors();
    let check = |session: Session, code: &str| {
        let answer = session.get("prompt");
        assert!(matches!(answer.status(), 410 | 500), "{answer:?}");
        let told = detail(&answer, answer.status());
        assert!(told.contains(code), "{told}");
        assert_eq!(session.delete().status(), 200);
    };
    check(
        open(&ors, "slow", json!({"setup_ms": 30_000})),
        "limit_wall",
    );
    let looping = json!({"where": "setup", "how": "loop"});
    check(open(&ors, "hostile", looping), "limit_cpu");
    let session = open(&ors, "slow", json!({"setup_ms": 300}));
    assert_eq!(session.call("probe", json!({})).text(), "ready=true");
}

#[test]
fn wall_and_cpu_time_of_teardown() {
    let server = Serve::fixtures(&["hostile"])
        .set("--teardown-wall", "1s")
        .set("--teardown-cpu", "300ms")
        .start();
    let ors = server.ors();
    for how in ["sleep_forever", "loop"] {
        let session = open(&ors, "hostile", json!({"where": "teardown", "how": how}));
        session.call("fine", json!({}));
        let start = std::time::Instant::now();
        assert_eq!(session.delete().status(), 200);
        assert_eq!(session.ping().status(), 404);
        assert!(
            start.elapsed() < crate::SOON,
            "{how}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn memory_of_a_session() {
    let big = json!({"unit": "0123456789abcdef", "count": 200_000});
    let server = Serve::fixtures(&["alpha", "hostile"])
        .set("--memory", "4MiB")
        .start();
    let ors = server.ors();
    let session = open(&ors, "alpha", json!({}));
    faulted(&session, &session.call("big", big.clone()), "limit_memory");
    let session = open(&ors, "hostile", json!({}));
    let call = session.call("act", json!({"how": "eat_memory"}));
    faulted(&session, &call, "limit_memory");

    let roomy = Serve::fixtures(&["alpha"])
        .set("--memory", "128MiB")
        .start();
    let session = open(&roomy.ors(), "alpha", json!({}));
    assert_eq!(session.call("big", big).text().len(), 3_200_000);
}

#[test]
fn size_of_a_result() {
    let server = Serve::fixtures(&["alpha"])
        .set("--result-limit", "64KiB")
        .start();
    let session = open(&server.ors(), "alpha", json!({}));
    let big = |count: usize| session.call("big", json!({"unit": "x", "count": count}));
    assert_eq!(big(50_000).text().len(), 50_000);
    let call = big(100_000);
    assert!(
        call.error().starts_with("limit_output: "),
        "{}",
        call.error()
    );
}

#[test]
fn guest_output_in_the_log() {
    let server = Serve::fixtures(&["hostile"])
        .set("--guest-log-limit", "4KiB")
        .start();
    let session = open(&server.ors(), "hostile", json!({}));
    let before = server.log().len();
    let call = session.call("act", json!({"how": "flood_stdout"}));
    // To say too much is no fault.
    assert_eq!(call.text(), "fine");
    assert_eq!(session.call("fine", json!({})).text(), "fine");
    let written = server.log().len() - before;
    // The rest of the log has its own lines, and a line has a beginning.
    assert!(written < 64 << 10, "{written} bytes");
}

#[test]
fn sessions_in_all() {
    // None can leave the memory where nothing is written down.
    let server = Serve::fixtures(&["alpha"])
        .set("--durability", "none")
        .set("--max-sessions", "2")
        .start();
    let ors = server.ors();
    let first = open(&ors, "alpha", json!({}));
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
