//! HTTP requests of environments: who may make them, where they may go, and that a
//! session sees each response once and for all.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orwd_tests::background::wait_until;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{
    OrwdCommand, ReplayCommand, ServeCommand, ServerProcess, replay_without_difference,
    unused_address,
};
use orwd_tests::test_dir::TestDir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{TIMEOUT, environment_dir, serve};

/// A server that answers each request with its number, and notes what it was
/// asked. A request for `/held` is not answered before `release`.
pub(super) struct Upstream {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    _release: mpsc::Sender<()>,
}

impl Upstream {
    pub(super) fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (release, held) = mpsc::channel();
        let held = Arc::new(Mutex::new(held));
        let noted = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (noted, held) = (noted.clone(), held.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &noted, &held));
            }
        });
        Upstream {
            address,
            asked,
            _release: release,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: std::net::TcpStream, noted: &Mutex<Vec<String>>, held: &Mutex<Receiver<()>>) {
    let mut buffer = [0; 65536];
    let Ok(read) = stream.read(&mut buffer) else {
        return;
    };
    let asked = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let number = {
        let mut noted = noted.lock().unwrap();
        noted.push(asked.clone());
        noted.len()
    };
    let redirect = asked.strip_prefix("GET /to/").and_then(|rest| {
        let target = rest.split(' ').next()?;
        Some(format!("Location: http://{target}\r\n"))
    });
    if asked.contains(" /held ") {
        let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(60));
    }
    let (status, location) = match &redirect {
        Some(location) => ("302 Found", location.as_str()),
        None => ("200 OK", ""),
    };
    // An echo is what a secret could come back by.
    let body = match asked.contains(" /echo ") {
        true => asked,
        false => format!("answer {number}"),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{location}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// An environment whose manifest asks for this, on a server with its own state.
pub(super) struct Scene {
    pub(super) scratch: TestDir,
    folder: String,
    pub(super) address: String,
    pub(super) flags: Vec<String>,
}

impl Scene {
    pub(super) fn new(asks: &str, allowed: &[String]) -> Scene {
        orwd_tests::artifacts::components();
        let scratch = TestDir::new();
        let tables = match asks {
            "" => String::new(),
            asks => format!("[network]\nallow = [{asks:?}]"),
        };
        Scene::of_tables(&tables, scratch, allowed)
    }

    /// An environment with these tables in its manifest.
    pub(super) fn of_tables(tables: &str, scratch: TestDir, allowed: &[String]) -> Scene {
        let folder = environment_dir(&scratch, "judge", "caller", "secrets = [\"KEY\"]", tables);
        Scene {
            scratch,
            folder,
            address: unused_address(),
            flags: allowed.to_vec(),
        }
    }

    /// Asks for the whole upstream, and allows it.
    fn allowed(upstream: &Upstream) -> Scene {
        let rule = upstream.url("");
        Scene::new(&rule, &[format!("judge={rule}")])
    }

    pub(super) fn command(&self) -> ServeCommand {
        let serve = serve(self.folder.as_str()).set("--state", self.scratch.at("state"));
        self.flags
            .iter()
            .fold(serve, |serve, rule| serve.set("--allow-network", rule))
    }

    pub(super) fn start(&self) -> ServerProcess {
        self.command().start_at(&self.address)
    }

    pub(super) fn journal_contains(&self, text: &str) -> bool {
        orwd_tests::process::journal_contains(self.scratch.path().join("state"), text)
    }
}

fn open(server: &ServerProcess) -> SessionClient {
    server.ors().open("judge", TaskSelector::At("train", 0))
}

fn send(session: &SessionClient, urls: &[String]) -> String {
    session.call("send", json!({"urls": urls})).text()
}

#[test]
fn a_request_that_both_grant_is_made_and_its_response_returned() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let server = scene.start();
    let session = open(&server);
    let input = json!({
        "urls": [upstream.url("/v1/grade?x=y")], "method": "POST", "body": "an answer",
        "headers": [["X-Trace", "7"]],
    });
    assert_eq!(session.call("send", input).text(), "200 answer 1");
    let asked = upstream.asked();
    assert!(
        asked[0].starts_with("POST /v1/grade?x=y HTTP/1.1\r\n"),
        "{asked:?}"
    );
    assert!(asked[0].contains("x-trace: 7\r\n"), "{asked:?}");
    assert!(asked[0].ends_with("\r\n\r\nan answer"), "{asked:?}");
    let rule = upstream.url("");
    server.wait_for_log("network broker started");
    server.wait_for_log(&rule);
    let version = server.ors().get("/version").json();
    assert_eq!(version["environments"][0]["network"], json!([rule]));
}

#[test]
fn without_one_of_both_grants_a_request_is_refused_with_its_name() {
    let upstream = Upstream::start();
    let rule = upstream.url("");
    let elsewhere = "https://elsewhere.example".to_owned();
    for (asks, allowed, part) in [
        ("", vec![format!("judge={rule}")], "orwd.toml"),
        (rule.as_str(), vec![], "--allow-network"),
        (&rule, vec![format!("judge={elsewhere}")], "--allow-network"),
        (&elsewhere, vec![format!("judge={elsewhere}")], &elsewhere),
    ] {
        let scene = Scene::new(asks, &allowed);
        let server = scene.start();
        let session = open(&server);
        let refused = send(&session, &[upstream.url("/")]);
        assert!(refused.starts_with("NotGranted: "), "{refused}");
        assert!(refused.contains(part), "{refused}");
    }
    assert!(upstream.asked().is_empty());
}

#[test]
fn nothing_leads_to_an_address_that_the_operator_has_not_named() {
    let (upstream, inner) = (Upstream::start(), Upstream::start());
    let scene = Scene::allowed(&upstream);
    let server = scene.start();
    let session = open(&server);
    // Following a redirect is a request like any other.
    let target = format!("{}/", inner.address);
    let redirected = send(&session, &[upstream.url(&format!("/to/{target}"))]);
    assert!(redirected.starts_with("NotGranted: "), "{redirected}");
    let followed = send(
        &session,
        &[
            format!("http://{target}"),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            format!(
                "http://localhost:{}/",
                upstream.address.rsplit(':').next().unwrap()
            ),
        ],
    );
    assert_eq!(followed.matches("NotGranted: ").count(), 3, "{followed}");
    let input = json!({"urls": [upstream.url("/")], "headers": [["Host", "evil.example"]]});
    let refused = session.call("send", input).text();
    assert!(refused.starts_with("Refused: "), "{refused}");
    assert!(inner.asked().is_empty());
    drop(server);

    // The operator accepts the manifest, which does not name the address for it.
    let scene = Scene::new(&inner.url(""), &["judge=manifest".to_owned()]);
    let server = scene.start();
    let session = open(&server);
    let refused = send(&session, &[inner.url("/")]);
    assert!(
        refused.starts_with("Refused: ") && refused.contains("loopback"),
        "{refused}"
    );
    assert!(inner.asked().is_empty());
}

#[test]
fn a_redirect_is_followed_within_the_rules_and_without_the_key() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    let rules = [upstream.url(""), other.url("")];
    let tables = format!("[network]\nallow = {rules:?}");
    let allowed = rules.map(|rule| format!("judge={rule}"));
    let scene = Scene::of_tables(&tables, TestDir::new(), &allowed);
    let server = scene.start();
    let session = open(&server);
    let input = json!({
        "urls": [upstream.url(&format!("/to/{}/", other.address))], "headers": [["X-Key", "kanarienvogel"]],
    });
    assert_eq!(session.call("send", input).text(), "200 answer 1");
    assert!(upstream.asked()[0].contains("kanarienvogel"));
    assert!(
        !other.asked()[0].contains("kanarienvogel"),
        "{:?}",
        other.asked()
    );
}

#[test]
fn an_operator_sets_the_limits_of_a_request() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let server = scene
        .command()
        .set("--http-head-timeout", "300ms")
        .set("--http-request-headers", "1KiB")
        .start_at(&scene.address);
    let session = open(&server);
    let slow = send(&session, &[upstream.url("/held")]);
    assert!(
        slow.starts_with("Timeout: ") && slow.contains("--http-head-timeout"),
        "{slow}"
    );
    let input = json!({"urls": [upstream.url("/")], "headers": [["X-A", "x".repeat(1024)]]});
    let large = session.call("send", input).text();
    assert!(
        large.starts_with("Limit: ") && large.contains("--http-request-headers"),
        "{large}"
    );
}

#[test]
fn no_request_is_made_before_a_session_is_recorded() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let server = scene.start();
    let task = json!({"at_open": upstream.url("/")});
    let session = server.ors().open("judge", TaskSelector::Spec(task));
    let seen = session.call("seen", json!({})).text();
    assert!(
        seen.starts_with("Refused: ") && seen.contains("setup"),
        "{seen}"
    );
    assert!(upstream.asked().is_empty());
}

#[test]
fn a_session_resumes_forks_and_replays_without_asking_again() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let mut server = scene.start();
    let session = open(&server);
    let urls = [upstream.url("/a"), upstream.url("/b")];
    let first = send(&session, &urls);
    assert_eq!(first, "200 answer 1\n200 answer 2");
    let post = json!({"urls": [upstream.url("/c")], "method": "POST"});
    assert_eq!(session.call("send", post).text(), "200 answer 3");
    server.kill();

    // Now the operator allows nothing, and the record is enough.
    let closed = Scene {
        flags: Vec::new(),
        ..scene
    };
    let server = closed.start();
    let all = format!("{first}\n200 answer 3");
    assert_eq!(
        session.call("seen", json!({})).text(),
        all,
        "{}",
        server.log()
    );
    let path = format!("/orwd/sessions/{}/fork", session.id());
    let forked = server.ors().post(&path, &json!({"at": 1})).json();
    let child = forked["sessions"][0].as_str().expect("a child").to_owned();
    let child = server.ors().session("judge", &child);
    assert_eq!(child.call("seen", json!({})).text(), first);
    let state = closed.scratch.at("state");
    replay_without_difference(session.id(), &state);
    assert_eq!(upstream.asked().len(), 3);
}

#[test]
fn a_live_replay_sends_requests_again_and_says_what_differs() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let mut server = scene.start();
    let session = open(&server);
    let urls = [upstream.url("/a"), upstream.url("/b")];
    assert_eq!(send(&session, &urls), "200 answer 1\n200 answer 2");
    session.call("key", json!({}));
    server.kill();
    let state = scene.scratch.at("state");
    let live = || ReplayCommand::new(session.id(), &state).flag("--live");
    let allowed = |rule: &str| live().set("--allow-network", &format!("judge={rule}"));
    let again = allowed(&upstream.url("/a")).run();
    // The first has another answer, and the operator does not allow the second.
    assert_eq!(again.code, Some(4), "{again}");
    for part in [
        "request 1: GET ",
        "200, 8 bytes with another body",
        "request 2: GET ",
        "200, 8 bytes -> ",
        ", 1 different; 2 requests sent again, 2 different",
    ] {
        assert!(again.stdout.contains(part), "{part}: {again}");
    }
    assert_eq!(upstream.asked().len(), 3);
    // It needs to know what it may request.
    live().run().expect_failure(&["--allow-network"]);
    allowed("manifest").run().expect_failure(&["no manifest"]);
    // Nothing of that is recorded.
    replay_without_difference(session.id(), &state);
    assert_eq!(upstream.asked().len(), 3);
    session.leave_open();
}

#[test]
fn a_receipt_commits_to_responses() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let server = scene.start();
    let session = open(&server);
    assert_eq!(send(&session, &[upstream.url("/a")]), "200 answer 1");
    let path = format!("/orwd/sessions/{}/receipt", session.id());
    let receipt = server.ors().get(&path).text().to_owned();
    let receipt = scene.scratch.write("receipt.json", receipt);
    let state = scene.scratch.at("state");
    let file = scene.scratch.at("one.episode");
    OrwdCommand::new(["export", session.id(), "--state", &state, "-o", &file])
        .run()
        .expect_success();
    let verify = |file: &str| {
        let receipt = receipt.to_str().unwrap();
        OrwdCommand::new(["verify", receipt, "--journal", file]).run()
    };
    verify(&file).expect_success();
    // The response, which is before the result that repeats it.
    let mut bytes = std::fs::read(&file).unwrap();
    let answer = b"answer 1";
    let place = bytes.windows(answer.len()).position(|part| part == answer);
    bytes[place.expect("the response is in the file") + 7] = b'9';
    let changed = scene.scratch.write("changed.episode", bytes);
    let refused = verify(changed.to_str().unwrap());
    assert!(refused.code.is_some_and(|code| code != 0), "{refused}");
    let replayed = ReplayCommand::new(changed.to_str().unwrap(), &state).run();
    assert!(replayed.code.is_some_and(|code| code != 0), "{replayed}");
}

#[test]
fn a_kill_during_a_call_repeats_only_a_request_that_may_be_repeated() {
    for (method, expected) in [("GET", "200 answer 3"), ("POST", "InDoubt: ")] {
        let upstream = Upstream::start();
        let scene = Scene::allowed(&upstream);
        let mut server = scene.start();
        let session = open(&server);
        let urls = [upstream.url("/first"), upstream.url("/held")];
        let mut stream = session.start("send", json!({"urls": urls, "method": method}));
        let task_id = stream.task_id();
        wait_until("both were asked", TIMEOUT, || upstream.asked().len() == 2);
        assert!(
            scene.journal_contains("answer 1"),
            "the first response is recorded"
        );
        server.kill();
        drop(stream);
        // A repeated request is answered at once.
        drop(upstream._release);
        let server = scene.start();
        let resumed = session.resume(&task_id).text();
        let (first, second) = resumed.split_once('\n').expect("two results");
        assert_eq!(first, "200 answer 1", "from the record");
        assert!(second.starts_with(expected), "{second}\n{}", server.log());
        let firsts = upstream.asked.lock().unwrap();
        let firsts = firsts.iter().filter(|asked| asked.contains("/first"));
        assert_eq!(firsts.count(), 1);
    }
}

/// Returns the broker of a server: the process that sends requests.
pub(super) fn broker(server: &ServerProcess) -> i32 {
    let worker = child(keeper(server), "--worker");
    worker.expect("a broker")
}

/// Returns the process that keeps it running.
fn keeper(server: &ServerProcess) -> i32 {
    let pid = i32::try_from(server.pid()).unwrap();
    child(pid, "__broker").expect("a process that keeps the broker running")
}

/// Returns the child of a process with this in its command line.
fn child(pid: i32, part: &str) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let has_part = |child: &&str| {
        let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(part)
    };
    children.split_whitespace().find(has_part)?.parse().ok()
}

fn kill(process: i32) {
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_broker_is_confined_and_started_again_when_it_ends() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let server = scene.start();
    let session = open(&server);
    for round in 1..4 {
        let broker = broker(&server);
        let status = std::fs::read_to_string(format!("/proc/{broker}/status")).unwrap();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
            assert!(status.contains(line), "no {line} in\n{status}");
        }
        let answer = send(&session, &[upstream.url("/")]);
        assert_eq!(answer, format!("200 answer {round}"));
        kill(broker);
        wait_until("the next broker is ready", TIMEOUT, || {
            let log = server.log();
            let started = log.matches("network broker started").count();
            log.matches("network broker ended").count() == round && started == round + 1
        });
    }
}

#[test]
fn a_manifest_can_say_that_its_requests_may_be_sent_twice() {
    let upstream = Upstream::start();
    let rule = upstream.url("");
    let tables = format!("[network]\nallow = [{rule:?}]\nretry = \"safe\"");
    let scene = Scene::of_tables(&tables, TestDir::new(), &[format!("judge={rule}")]);
    let mut server = scene.start();
    let session = open(&server);
    let input = json!({"urls": [upstream.url("/held")], "method": "POST"});
    let mut stream = session.start("send", input);
    let task_id = stream.task_id();
    wait_until("it was asked", TIMEOUT, || upstream.asked().len() == 1);
    server.kill();
    drop(stream);
    drop(upstream._release);
    let server = scene.start();
    let resumed = session.resume(&task_id).text();
    assert_eq!(resumed, "200 answer 2", "{}", server.log());
    let asked = upstream.asked.lock().unwrap();
    let key = |text: &String| -> String {
        let (_, rest) = text.split_once("idempotency-key: ").expect("a key");
        rest.lines().next().unwrap().to_owned()
    };
    assert_eq!(key(&asked[0]), key(&asked[1]), "the server recognises it");
}

#[test]
fn a_request_in_flight_when_the_broker_ends_is_repeated_only_if_that_is_harmless() {
    for (method, expected, asked) in [("GET", "200 answer 2", 2), ("POST", "InDoubt: ", 1)] {
        let upstream = Upstream::start();
        let scene = Scene::allowed(&upstream);
        let server = scene.start();
        let session = open(&server);
        let input = json!({"urls": [upstream.url("/held")], "method": method});
        let stream = session.start("send", input);
        wait_until("it was asked", TIMEOUT, || upstream.asked().len() == 1);
        kill(broker(&server));
        // What is repeated is answered at once.
        drop(upstream._release);
        let seen = stream.finish().text();
        assert!(seen.starts_with(expected), "{seen}");
        assert_eq!(upstream.asked.lock().unwrap().len(), asked);
    }
}

#[test]
fn without_a_broker_a_call_breaks_off_and_continues_after_a_restart() {
    let upstream = Upstream::start();
    let scene = Scene::allowed(&upstream);
    let mut server = scene.start();
    let session = open(&server);
    kill(keeper(&server));
    server.wait_for_log("network broker lost");
    let input = json!({"urls": [upstream.url("/")]});
    let mut stream = session.start("send", input.clone());
    let task_id = stream.task_id();
    // It is no error of the tool: the stream ends without a result.
    server.wait_for_log("the host cannot send requests");
    drop(stream);
    assert!(upstream.asked().is_empty());
    server.kill();
    let server = scene.start();
    // The client asks again. The server may be killed before the call is recorded,
    // and then it begins.
    let body = json!({"name": "send", "input": input, "task_id": task_id});
    let again = session
        .ors()
        .try_post_as(session.id(), "/judge/call", &body);
    let again = again.expect("a response").text().to_owned();
    assert!(again.contains("200 answer 1"), "{again}\n{}", server.log());
}

#[test]
fn inspect_shows_the_requested_and_the_allowed_rules() {
    let scene = Scene::new("https://*.example.com/v1", &[]);
    let inspect = |more: &[&str]| -> Value {
        let arguments = [&["inspect", &scene.folder, "--json"], more].concat();
        let shown = OrwdCommand::new(arguments).run();
        serde_json::from_str(shown.expect_success()).expect("only JSON")
    };
    let closed = inspect(&[]);
    assert_eq!(
        closed["network"],
        json!({
            "requested": ["https://*.example.com/v1"], "granted": [], "secrets_in_guest": false,
        })
    );
    let imports = closed["imports"].to_string();
    assert!(imports.contains("orwd:network/http@0.1.0"), "{imports}");
    let open = inspect(&["--allow-network", "judge=GET https://api.example.com"]);
    assert_eq!(
        open["network"]["granted"],
        json!(["GET https://api.example.com/v1"])
    );
    for (rule, part) in [
        ("judge=api.example.com", "https://"),
        ("other=manifest", "no environment \"other\""),
        ("judge", "NAME=RULE"),
    ] {
        let arguments = ["inspect", &scene.folder, "--allow-network", rule];
        OrwdCommand::new(arguments).run().expect_failure(&[part]);
    }
}
