//! Every limit of a session is enforced: the call that exceeds it gets an error
//! with the limit's code, every later request gets 410 with the same code, and
//! other sessions continue.
//!
//! Most tests run the same attack twice: a low limit stops it, and a high one
//! lets it succeed. So that limit stops it, and not another one.

mod capacity;
mod fairness;
mod guest_memory;
mod holdings;
mod output;
mod requests;
mod space;
mod support;
mod time;
mod waiting;

use orwd_tests::artifacts::{binary, component};
use orwd_tests::expect::error_detail;
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use self::support::open;
use crate::support::{environment_dir, serve};

/// Lists the limits by name with their checks; each check becomes a test.
macro_rules! limit_tests {
    ($($limit:literal: $file:ident::$check:ident,)+) => {
        const LIMITS: &[&str] = &[$($limit),+];
        $(
            #[test]
            fn $check() {
                $file::$check();
            }
        )+
    };
}

limit_tests! {
    "memory": space::memory_is_limited,
    "tables": space::tables_are_limited,
    "handles": space::handles_are_limited,
    "call-cpu": time::cpu_time_of_a_call,
    "call-wall": time::wall_time_of_a_call,
    "setup-cpu": time::cpu_time_of_setup,
    "setup-wall": time::wall_time_of_setup,
    "teardown-cpu": time::cpu_time_of_teardown,
    "teardown-wall": time::wall_time_of_teardown,
    "result-limit": output::size_of_a_result,
    "host-call-limit": output::size_of_host_call_data,
    "json-depth": output::depth_of_json,
    "guest-log-limit": output::log_output_of_a_call,
    "guest-log-total": output::log_output_of_a_session,
    "disk": space::disk_is_limited,
    "files": space::files_are_limited,
    "open-files": space::open_files_are_limited,
    "journal-limit": space::journal_is_limited,
    "http-requests": requests::requests_of_a_session,
    "http-call-limit": requests::size_of_the_requests_of_a_call,
}

/// Returns the names of the limits in an object.
fn names(limits: &Value) -> Vec<&str> {
    let limits = limits.as_object().expect("an object of limits");
    assert!(limits.values().all(Value::is_string), "{limits:?}");
    limits.keys().map(String::as_str).collect()
}

#[test]
fn every_limit_has_a_test() {
    let server = ServeCommand::fixtures(&["alpha", "chat"]).start();
    let version = server.ors().get("/version").json();
    let inspected = OrwdCommand::new([
        "inspect".as_ref(),
        "--json".as_ref(),
        component("alpha").as_os_str(),
    ])
    .run();
    let inspected: Value = serde_json::from_str(inspected.expect_success()).expect("JSON");
    let help = OrwdCommand::new(["serve", "--help"]).run();
    let flags: Vec<&str> = help
        .expect_success()
        .split("Limits of a session:")
        .nth(1)
        .and_then(|rest| rest.split("\nPersistence:").next())
        .expect("a heading of the help")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(flags, LIMITS, "{}", binary().display());
    assert_eq!(names(&inspected["limits"]), LIMITS);
    for environment in version["environments"].as_array().expect("a list") {
        assert_eq!(names(&environment["limits"]), LIMITS);
    }
}

#[test]
fn effective_limits_are_shown_by_version_and_inspect() {
    let scratch = TestDir::new();
    let tables = "[limits]\nmemory = \"64MiB\"\nhandles = 100\ncall-cpu = \"1h\"";
    let narrow = environment_dir(&scratch, "narrow", "alpha", "", tables);
    let wide = environment_dir(&scratch, "wide", "alpha", "", "");
    let server = serve(&narrow)
        .and_path(&wide)
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
        // A manifest cannot raise the operator's limit.
        assert_eq!(limit(environment, "call-cpu"), "3s");
        assert_eq!(limit(environment, "disk"), "5MiB");
    }
    server.wait_for_log("manifest limit capped environment=narrow limit=\"call-cpu\" requested=1h");

    let inspected = OrwdCommand::new(
        ["inspect", "--json", "--disk", "5MiB", "--call-cpu", "3s"]
            .into_iter()
            .chain(["--no-build", narrow.as_str()]),
    )
    .run();
    let inspected: Value = serde_json::from_str(inspected.expect_success()).expect("JSON");
    assert_eq!(inspected["limits"], version["environments"][0]["limits"]);
}

#[test]
fn sessions_in_total_are_limited() {
    for flags in [
        // No session can hibernate without a journal,
        [("--max-sessions", "2"), ("--durability", "none")],
        // or with hibernation off;
        [("--max-sessions", "2"), ("--hibernate-after", "never")],
        // with it, the number of open sessions is limited.
        [("--max-sessions", "1"), ("--max-open-sessions", "2")],
    ] {
        only_two_sessions_fit(&flags);
    }
}

fn only_two_sessions_fit(flags: &[(&str, &str)]) {
    let mut server = ServeCommand::fixtures(&["alpha"]);
    for (flag, value) in flags {
        server = server.set(flag, *value);
    }
    let server = server.start();
    let ors = server.ors();
    let first = open(&ors, "alpha", json!({}));
    // A session in setup cannot hibernate.
    assert_eq!(first.call("noargs", json!({})).text(), "noargs ok");
    let second = open(&ors, "alpha", json!({}));
    let refused = ors.create("third", &json!({"task_spec": {}}));
    error_detail(&refused, 503);
    let seconds = refused.header("retry-after").expect("a Retry-After");
    assert!(seconds.parse::<u64>().is_ok(), "{seconds}");
    // Existing sessions continue, and a freed slot can be used.
    assert_eq!(second.call("noargs", json!({})).text(), "noargs ok");
    first.delete();
    let third = open(&ors, "alpha", json!({}));
    assert_eq!(third.call("noargs", json!({})).text(), "noargs ok");
}

#[test]
fn a_server_raises_its_descriptor_limit() {
    let server = ServeCommand::fixtures(&["alpha"]).start_in_shell("ulimit -Sn 100");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut numbers = line.unwrap().split_whitespace().skip(3);
    let (soft, hard) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert_eq!(soft, hard);
    assert_ne!(soft, "100");
}
