//! Random values and clocks of a session depend on its seed and on the arrival
//! of its calls only.

use std::fs;
use std::time::{Duration, Instant};

use orwd_tests::expect::error_detail;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{OrsClient, SESSION_HEADER, SessionClient, TaskSelector, fresh_id};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::{TIMEOUT, environment_dir, serve};

const SEED: &str = "X-ORWD-Seed";

/// The time by which each clock read advances the clock, in nanoseconds.
const STEP: u64 = 1_000;
const MS: u64 = 1_000_000;

fn open(ors: &OrsClient, seed: &str) -> SessionClient {
    ors.open_with(
        "determinism",
        TaskSelector::Spec(json!({})),
        &[(SEED, seed)],
    )
}

/// Calls a tool that returns JSON.
#[track_caller]
fn call_json(session: &SessionClient, tool: &str, input: Value) -> Value {
    let text = session.call(tool, input).text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Creates a session, perhaps with a requested seed; returns its id and the seed
/// that the server reports.
fn created(ors: &OrsClient, environment: &str, requested: Option<&str>) -> (String, String) {
    let id = fresh_id();
    let mut request = HttpRequest::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": environment, "task_spec": {}}));
    if let Some(requested) = requested {
        request = request.header(SEED, requested);
    }
    let answer = ors.fetch(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seed = answer.header(SEED).expect("a seed").to_owned();
    (id, seed)
}

#[test]
fn a_seed_decides_all_random_values() {
    let server = ServeCommand::fixtures(&["determinism"]).start();
    let ors = server.ors();
    let draws = |session: &SessionClient| -> Vec<Value> {
        (0..3)
            .map(|_| call_json(session, "draw", json!({})))
            .collect()
    };
    let one = draws(&open(&ors, "42"));
    assert_eq!(one, draws(&open(&ors, "0x2a")));
    assert_eq!(one[0]["seed"], "42");
    // The values are random: they differ between draws and between seeds.
    assert_ne!(one[0]["bytes"], one[1]["bytes"]);
    let other = draws(&open(&ors, "43"));
    for what in ["bytes", "order", "rng"] {
        assert_ne!(one[0][what], other[0][what], "{what}");
    }
    // Another process returns the same values.
    let server = ServeCommand::fixtures(&["determinism"]).start();
    assert_eq!(one, draws(&open(&server.ors(), "42")));
}

#[test]
fn a_seed_comes_from_the_client_the_manifest_or_a_draw_and_is_reported() {
    let scratch = TestDir::new();
    let fixed = environment_dir(&scratch, "fixed", "determinism", "seed = 7", "");
    let free = environment_dir(&scratch, "free", "determinism", "", "");
    let server = serve(fixed).and_path(free).start();
    let ors = server.ors();
    assert_eq!(created(&ors, "fixed", None).1, "7");
    assert_eq!(created(&ors, "fixed", Some("8")).1, "8");
    let most = "18446744073709551615";
    assert_eq!(created(&ors, "free", Some(most)).1, most);
    let (id, drawn) = created(&ors, "free", None);
    assert_ne!(drawn, created(&ors, "free", None).1);
    // A drawn seed is logged and can be requested again.
    let session = ors.session("free", &id);
    let again = ors.open_with("free", TaskSelector::Spec(json!({})), &[(SEED, &drawn)]);
    assert_eq!(
        call_json(&session, "draw", json!({})),
        call_json(&again, "draw", json!({}))
    );
    server.wait_for_log(&drawn);

    for wrong in ["", "-1", "1.5", "seven", "18446744073709551616", "1 2"] {
        let id = fresh_id();
        let request = HttpRequest::post("/create")
            .header(SESSION_HEADER, &id)
            .header(SEED, wrong)
            .json(&json!({"env_name": "free", "task_spec": {}}));
        let answer = ors.fetch(&request);
        assert!(
            error_detail(&answer, 400).contains("seed"),
            "{wrong}: {answer:?}"
        );
        // The id stays unused.
        assert_eq!(ors.post_empty(&id, "/ping").status(), 404);
    }
}

#[test]
fn clocks_advance_by_reads_and_arrivals() {
    let server = ServeCommand::fixtures(&["determinism"]).start();
    let session = open(&server.ors(), "1");
    let before = call_json(&session, "clocks", json!({}));
    for clock in ["step", "wall_step"] {
        assert_eq!(before[clock], STEP, "{before}");
    }
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_millis(50) {
        assert_eq!(session.ping().status(), 200);
    }
    let paused = pause.elapsed();
    let after = call_json(&session, "clocks", json!({}));
    let passed = after["wall"].as_u64().unwrap() - before["wall"].as_u64().unwrap();
    assert!(passed >= 50 * MS, "{passed} after {paused:?}");
    // Monotonic time does not advance between calls: two sessions with the same
    // calls see the same times.
    let twin = open(&server.ors(), "1");
    for seen in [&before, &after] {
        let same = call_json(&twin, "clocks", json!({}));
        assert_eq!(same["since_open"], seen["since_open"]);
    }
    // The wall clock follows the real time.
    let world = std::time::SystemTime::now();
    let world = world.duration_since(std::time::UNIX_EPOCH).unwrap();
    let guest = Duration::from_nanos(after["wall"].as_u64().unwrap());
    let apart = world.abs_diff(guest);
    assert!(apart < TIMEOUT * 4, "{apart:?}");
}

#[test]
fn a_sleep_takes_its_duration_and_the_guest_sees_exactly_that() {
    let server = ServeCommand::fixtures(&["determinism"]).start();
    let session = open(&server.ors(), "1");
    let begin = Instant::now();
    let slept = call_json(&session, "sleep", json!({"ms": 300}));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    // The sleep and the clock reads around it: the same every time.
    let exact = slept["slept"].as_u64().unwrap();
    assert!((300 * MS..300 * MS + 10 * STEP).contains(&exact), "{slept}");
    for _ in 0..3 {
        assert_eq!(call_json(&session, "sleep", json!({"ms": 300})), slept);
    }
    // Polling the clock instead of sleeping ends as well.
    let looks = session.call("spin", json!({"ms": 20})).text();
    assert_eq!(looks, session.call("spin", json!({"ms": 20})).text());
}

#[test]
fn an_endless_sleep_ends_at_the_limit() {
    let server = ServeCommand::fixtures(&["determinism"])
        .set("--call-wall", "1s")
        .start();
    for ms in [20_000_u64, 1 << 43, u64::MAX] {
        let session = open(&server.ors(), "1");
        let begin = Instant::now();
        let call = session.call("sleep", json!({ "ms": ms }));
        assert!(call.error().starts_with("limit_wall: "), "{}", call.error());
        assert!(begin.elapsed() >= Duration::from_millis(900), "{ms}");
    }
}

#[test]
fn nan_values_are_canonical() {
    let server = ServeCommand::fixtures(&["determinism"]).start();
    let session = open(&server.ors(), "1");
    assert_eq!(
        session.call("nan", json!({})).text(),
        "7ff8000000000000 7ff8000000000000"
    );
}

#[test]
fn data_is_listed_the_same_on_any_disk() {
    let seen = ["b a c", "c b a"].map(|order| {
        let scratch = TestDir::new();
        fs::create_dir_all(scratch.path().join("determinism/data")).unwrap();
        for name in order.split(' ') {
            scratch.write(&format!("determinism/data/{name}"), name);
        }
        let server = serve(environment_dir(
            &scratch,
            "determinism",
            "determinism",
            "data = \"data\"",
            "",
        ))
        .start();
        let session = open(&server.ors(), "1");
        let before = session.call("listing", json!({})).text();
        let begin = call_json(&session, "clocks", json!({}))["wall"]
            .as_u64()
            .unwrap();
        session.call("write", json!({"path": "/orwd_data/b"}));
        let after = session.call("listing", json!({})).text();
        // A written file has its own time.
        let line = after.lines().find(|line| line.starts_with("b ")).unwrap();
        let written: u64 = line[2..].parse().unwrap();
        assert!(written >= begin / 1_000_000_000, "{after}");
        before
    });
    assert_eq!(seen[0], seen[1]);
    let names: Vec<&str> = seen[0].lines().map(|line| &line[..1]).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn task_queries_return_the_same_everywhere() {
    let tasks = |ors: &OrsClient| {
        let answer = ors.post("/determinism/tasks", &json!({"split": "train"}));
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.json()
    };
    let one = ServeCommand::fixtures(&["determinism"]).start();
    let first = tasks(&one.ors());
    // Independent of the number and order of requests.
    one.ors()
        .post("/determinism/task", &json!({"split": "train", "index": 1}));
    assert_eq!(tasks(&one.ors()), first);
    let two = ServeCommand::fixtures(&["determinism"]).start();
    assert_eq!(tasks(&two.ors()), first);
}

#[test]
fn a_manifest_may_request_the_real_clock() {
    let scratch = TestDir::new();
    let real = environment_dir(&scratch, "real", "determinism", "clock = \"real\"", "");
    let server = serve(real).start();
    let session = server.ors().open("real", TaskSelector::Spec(json!({})));
    let spun = session.call("spin", json!({"ms": 100})).text();
    let begin = Instant::now();
    assert!(spun.parse::<u64>().is_ok(), "{spun}");
    let slept = call_json(&session, "sleep", json!({"ms": 100}));
    assert!(begin.elapsed() >= Duration::from_millis(100));
    let slept = slept["slept"].as_u64().unwrap();
    assert!(slept > 100 * MS, "{slept}");
    // Between two calls this clock advances as much as the real time.
    let before = call_json(&session, "clocks", json!({}));
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_millis(50) {
        assert_eq!(session.ping().status(), 200);
    }
    let after = call_json(&session, "clocks", json!({}));
    let since = |seen: &Value| seen["since_open"].as_u64().unwrap();
    assert!(since(&after) - since(&before) >= 50 * MS);
}
