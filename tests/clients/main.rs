//! The published Python clients, unmodified, against the server under test.
//!
//! The stories are the `.py` files beside this one, each a `unittest` module.
//! They run in a virtual environment that is made below the target folder
//! from `requirements.txt`, once for each state of that file; this needs
//! `python3` with its `venv` module and, the first time, a package index. At
//! run time the clients reach nothing but the server: `loopback.py` sees to
//! that, and is tested as well.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use orwd_tests::artifacts::{CONTRACT, target_dir};
use orwd_tests::later::{Later, wait_until};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, quiet_address};
use orwd_tests::state::journal_has;
use orwd_tests::subject::subject;

/// Longer than it takes until a client has come to its long call.
const PATIENCE: Duration = Duration::from_secs(120);

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The Python of the virtual environment.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = target_dir().join("orwd-clients");
        fs::create_dir_all(&folder).expect("the target folder can be written to");
        // Held until the end of this block: two test processes may start at
        // the same time.
        let lock = File::create(folder.join("lock")).expect("a lock file can be made");
        lock.lock().expect("a file can be locked");
        let python = folder.join("venv/bin/python");
        // Written last, so that a half-made environment is made again.
        let made_from = folder.join("made-from");
        let is_current = fs::read_to_string(&made_from).is_ok_and(|text| text == REQUIREMENTS);
        if !(is_current && python.is_file()) {
            let _ = fs::remove_file(&made_from);
            make(&folder, &python);
            fs::write(&made_from, REQUIREMENTS).expect("the environment can be marked");
        }
        python
    })
}

fn make(folder: &Path, python: &Path) {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"])
        .arg(folder.join("venv"));
    run(
        &mut venv,
        "these tests need python3 with its venv module (Debian: python3-venv)",
    );
    let mut install = Command::new(python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(stories().join("requirements.txt"));
    run(
        &mut install,
        "the clients could not be installed: these tests need a Python package index once",
    );
}

fn run(command: &mut Command, need: &str) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{need}: {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{need}: {command:?}\n{}",
        shown(&output)
    );
}

fn shown(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn stories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Tells the stories of one module against the server at `base`.
fn tell_to(base: &str, is_reference: bool, module: &str) {
    tell_with(base, is_reference, module, &[]);
}

/// The same with more variables.
fn tell_with(base: &str, is_reference: bool, module: &str, variables: &[(&str, &str)]) {
    let output = Command::new(python())
        .args(["-B", "-m", "unittest", "-v", module])
        .current_dir(stories())
        .env("ORS_BASE_URL", base)
        .env("ORS_IS_REFERENCE", if is_reference { "1" } else { "0" })
        .envs(variables.iter().copied())
        .output()
        .expect("the environment's python can be started");
    let text = shown(&output);
    assert!(output.status.success(), "{module}:\n{text}");
    // A module without stories would be a success as well.
    assert!(!text.contains("Ran 0 tests"), "{module}:\n{text}");
}

fn tell(module: &str) {
    let subject = subject();
    tell_to(subject.base(), subject.is_reference(), module);
}

#[test]
fn the_clients_stay_on_this_machine() {
    tell("guard");
}

#[test]
fn openreward_asynchronous() {
    tell("openreward_async");
}

#[test]
fn openreward_synchronous() {
    tell("openreward_sync");
}

#[test]
fn openreward_rides_out_a_long_setup_and_a_long_call() {
    tell("openreward_patience");
}

#[test]
fn ors_sdk() {
    tell("ors_sdk");
}

#[test]
fn an_idle_session_expires() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("left out: it needs a server with a short idle time");
        return;
    }
    let server = Serve::fixtures(&CONTRACT)
        .set("--idle-timeout", "3s")
        .start();
    tell_to(server.base(), false, "expiry");
}

/// What a client saw of an episode; the server is killed in the middle of its
/// long call and started again, or left alone.
fn seen(story: &str, killed: bool) -> String {
    let scratch = Scratch::new();
    let seen = scratch.at("seen");
    // One client sends its API key as a secret, and the fixture asks for it.
    let key = scratch.write("key", "5a".repeat(32));
    let serve = || {
        Serve::fixtures(&["alpha"])
            .set("--state", scratch.at("state"))
            .set("--seal-key", &key)
    };
    let address = quiet_address();
    let mut server = serve().start_at(&address);
    let base = server.base().to_owned();
    let client = Later::run({
        let (story, seen) = (story.to_owned(), seen.clone());
        move || tell_with(&base, false, &story, &[("ORS_SEEN", &seen)])
    });
    if killed {
        wait_until("the call is in the journal", PATIENCE, || {
            assert!(!client.is_done(), "it was through before");
            // What is said is sealed where there are secrets, but not by which
            // tool, and this one is called once.
            journal_has(scratch.at("state"), "sleep")
        });
        server.kill();
        server = serve().start_at(&address);
    }
    client.get();
    drop(server);
    fs::read_to_string(seen).expect("the story wrote down what it saw")
}

#[test]
fn a_client_whose_server_is_killed_in_mid_call_sees_nothing_of_it() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("left out: it needs a server that it may kill");
        return;
    }
    for client in ["openreward", "ors_sdk"] {
        let story = format!("killed.Killed.test_{client}");
        let undisturbed = seen(&story, false);
        for part in ["0.75", "\"8\"", r#"\"start\": 1, \"end\": 2"#] {
            assert!(undisturbed.contains(part), "{part} in {undisturbed}");
        }
        assert_eq!(seen(&story, true), undisturbed, "{client}");
    }
}
