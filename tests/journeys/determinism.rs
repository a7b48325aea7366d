//! What a session sees of chance and time is decided by its seed and by when
//! it is called.

use std::fs;
use std::time::{Duration, Instant};

use orwd_tests::expect::detail;
use orwd_tests::http::Request;
use orwd_tests::ors::{Ors, SESSION_HEADER, Session, Task, fresh_id};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use serde_json::{Value, json};

use crate::{folder, serve};

const SEED: &str = "X-ORWD-Seed";

/// What a look at the clock takes, in nanoseconds.
const STEP: u64 = 1_000;
const MS: u64 = 1_000_000;

fn open(ors: &Ors, seed: &str) -> Session {
    ors.open_with("chance", Task::Spec(json!({})), &[(SEED, seed)])
}

/// The answer of a tool that answers in JSON.
#[track_caller]
fn told(session: &Session, tool: &str, input: Value) -> Value {
    let text = session.call(tool, input).text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The seed that `/create` tells, for a body and perhaps a wish.
fn created(ors: &Ors, environment: &str, wish: Option<&str>) -> (String, String) {
    let id = fresh_id();
    let mut request = Request::post("/create")
        .header(SESSION_HEADER, &id)
        .json(&json!({"env_name": environment, "task_spec": {}}));
    if let Some(wish) = wish {
        request = request.header(SEED, wish);
    }
    let answer = ors.ask(&request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seed = answer.header(SEED).expect("a seed").to_owned();
    (id, seed)
}

#[test]
fn a_seed_decides_what_chance_gives() {
    let server = Serve::fixtures(&["chance"]).start();
    let ors = server.ors();
    let draws = |session: &Session| -> Vec<Value> {
        (0..3).map(|_| told(session, "draw", json!({}))).collect()
    };
    let one = draws(&open(&ors, "42"));
    assert_eq!(one, draws(&open(&ors, "0x2a")));
    assert_eq!(one[0]["seed"], "42");
    // Chance it is: each draw gives something new, and so does each seed.
    assert_ne!(one[0]["bytes"], one[1]["bytes"]);
    let other = draws(&open(&ors, "43"));
    for what in ["bytes", "order", "rng"] {
        assert_ne!(one[0][what], other[0][what], "{what}");
    }
    // Another process gives the same.
    let server = Serve::fixtures(&["chance"]).start();
    assert_eq!(one, draws(&open(&server.ors(), "42")));
}

#[test]
fn a_seed_is_the_clients_or_the_manifests_or_drawn_and_is_told() {
    let scratch = Scratch::new();
    let fixed = folder(&scratch, "fixed", "chance", "seed = 7", "");
    let free = folder(&scratch, "free", "chance", "", "");
    let server = serve(fixed).and(free).start();
    let ors = server.ors();
    assert_eq!(created(&ors, "fixed", None).1, "7");
    assert_eq!(created(&ors, "fixed", Some("8")).1, "8");
    let most = "18446744073709551615";
    assert_eq!(created(&ors, "free", Some(most)).1, most);
    let (id, drawn) = created(&ors, "free", None);
    assert_ne!(drawn, created(&ors, "free", None).1);
    // What was drawn can be had again, and the log says it.
    let session = ors.session("free", &id);
    let again = ors.open_with("free", Task::Spec(json!({})), &[(SEED, &drawn)]);
    assert_eq!(
        told(&session, "draw", json!({})),
        told(&again, "draw", json!({}))
    );
    server.logs(&drawn);

    for wrong in ["", "-1", "1.5", "seven", "18446744073709551616", "1 2"] {
        let id = fresh_id();
        let request = Request::post("/create")
            .header(SESSION_HEADER, &id)
            .header(SEED, wrong)
            .json(&json!({"env_name": "free", "task_spec": {}}));
        let answer = ors.ask(&request);
        assert!(detail(&answer, 400).contains("seed"), "{wrong}: {answer:?}");
        // The id is as free as before.
        assert_eq!(ors.touch(&id, "/ping").status(), 404);
    }
}

#[test]
fn clocks_move_by_steps_and_by_arrivals() {
    let server = Serve::fixtures(&["chance"]).start();
    let session = open(&server.ors(), "1");
    let before = told(&session, "clocks", json!({}));
    for clock in ["step", "wall_step"] {
        assert_eq!(before[clock], STEP, "{before}");
    }
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_millis(50) {
        assert_eq!(session.ping().status(), 200);
    }
    let paused = pause.elapsed();
    let after = told(&session, "clocks", json!({}));
    let passed = after["wall"].as_u64().unwrap() - before["wall"].as_u64().unwrap();
    assert!(passed >= 50 * MS, "{passed} after {paused:?}");
    // Monotonic time stands still between calls: two sessions that do the
    // same see the same.
    let twin = open(&server.ors(), "1");
    for seen in [&before, &after] {
        let same = told(&twin, "clocks", json!({}));
        assert_eq!(same["since_open"], seen["since_open"]);
    }
    // The wall clock is the world's.
    let world = std::time::SystemTime::now();
    let world = world.duration_since(std::time::UNIX_EPOCH).unwrap();
    let guest = Duration::from_nanos(after["wall"].as_u64().unwrap());
    let apart = world.abs_diff(guest);
    assert!(apart < crate::SOON * 4, "{apart:?}");
}

#[test]
fn a_sleep_takes_its_time_and_the_guest_sees_exactly_that() {
    let server = Serve::fixtures(&["chance"]).start();
    let session = open(&server.ors(), "1");
    let begin = Instant::now();
    let slept = told(&session, "sleep", json!({"ms": 300}));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    // The sleep, and the looks at the clocks in between: the same every time.
    let exact = slept["slept"].as_u64().unwrap();
    assert!((300 * MS..300 * MS + 10 * STEP).contains(&exact), "{slept}");
    for _ in 0..3 {
        assert_eq!(told(&session, "sleep", json!({"ms": 300})), slept);
    }
    // Whoever looks at the clock instead gets to the end as well.
    let looks = session.call("spin", json!({"ms": 20})).text();
    assert_eq!(looks, session.call("spin", json!({"ms": 20})).text());
}

#[test]
fn a_sleep_without_end_ends_in_the_limit() {
    let server = Serve::fixtures(&["chance"])
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
fn what_is_no_number_has_one_form() {
    let server = Serve::fixtures(&["chance"]).start();
    let session = open(&server.ors(), "1");
    assert_eq!(
        session.call("nan", json!({})).text(),
        "7ff8000000000000 7ff8000000000000"
    );
}

#[test]
fn data_looks_the_same_wherever_it_lies() {
    let seen = ["b a c", "c b a"].map(|order| {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path().join("chance/data")).unwrap();
        for name in order.split(' ') {
            scratch.write(&format!("chance/data/{name}"), name);
        }
        let server = serve(folder(&scratch, "chance", "chance", "data = \"data\"", "")).start();
        let session = open(&server.ors(), "1");
        let before = session.call("listing", json!({})).text();
        let begin = told(&session, "clocks", json!({}))["wall"]
            .as_u64()
            .unwrap();
        session.call("write", json!({"path": "/orwd_data/b"}));
        let after = session.call("listing", json!({})).text();
        // What it writes has its own time.
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
fn questions_about_tasks_have_the_same_answers_everywhere() {
    let tasks = |ors: &Ors| {
        let answer = ors.post("/chance/tasks", &json!({"split": "train"}));
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.json()
    };
    let one = Serve::fixtures(&["chance"]).start();
    let first = tasks(&one.ors());
    // However often it is asked, in whatever order.
    one.ors()
        .post("/chance/task", &json!({"split": "train", "index": 1}));
    assert_eq!(tasks(&one.ors()), first);
    let two = Serve::fixtures(&["chance"]).start();
    assert_eq!(tasks(&two.ors()), first);
}

#[test]
fn an_environment_may_ask_for_the_real_clock() {
    let scratch = Scratch::new();
    let real = folder(&scratch, "real", "chance", "clock = \"real\"", "");
    let server = serve(real).start();
    let session = server.ors().open("real", Task::Spec(json!({})));
    let spun = session.call("spin", json!({"ms": 100})).text();
    let begin = Instant::now();
    assert!(spun.parse::<u64>().is_ok(), "{spun}");
    let slept = told(&session, "sleep", json!({"ms": 100}));
    assert!(begin.elapsed() >= Duration::from_millis(100));
    let slept = slept["slept"].as_u64().unwrap();
    assert!(slept > 100 * MS, "{slept}");
    // To compute takes time on this clock: between two calls it has moved by
    // as much as the world has.
    let before = told(&session, "clocks", json!({}));
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_millis(50) {
        assert_eq!(session.ping().status(), 200);
    }
    let after = told(&session, "clocks", json!({}));
    let since = |seen: &Value| seen["since_open"].as_u64().unwrap();
    assert!(since(&after) - since(&before) >= 50 * MS);
}
