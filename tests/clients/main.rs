//! The published Python clients, unmodified, against the server under test.
//!
//! The scripts are the `.py` files beside this one, each a `unittest` module.
//! They run in a virtual environment below the target directory, which is
//! created from `requirements.txt` once for each version of that file; this
//! needs `python3` with its `venv` module and, the first time, a package index.
//! At run time the clients can only reach the server: `loopback.py` enforces
//! that, and is tested as well.

mod platform;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use orwd_tests::artifacts::{CONTRACT_FIXTURES, target_dir, workspace_dir};
use orwd_tests::background::{BackgroundTask, wait_until};
use orwd_tests::process::{ServeCommand, journal_contains, server_under_test, unused_address};
use orwd_tests::test_dir::TestDir;

/// Longer than a client takes to reach its long call.
const TIMEOUT: Duration = Duration::from_secs(120);

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Returns the Python of the virtual environment.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = target_dir().join("orwd-clients");
        fs::create_dir_all(&folder).expect("the target directory can be written to");
        // Held until the end of this block: two test processes may start at
        // the same time.
        let lock = File::create(folder.join("lock")).expect("a lock file can be created");
        lock.lock().expect("a file can be locked");
        let python = folder.join("venv/bin/python");
        // Written last, so that an incomplete environment is created again.
        let created_from = folder.join("created-from");
        let is_current = fs::read_to_string(&created_from).is_ok_and(|text| text == REQUIREMENTS);
        if !(is_current && python.is_file()) {
            let _ = fs::remove_file(&created_from);
            create(&folder, &python);
            fs::write(&created_from, REQUIREMENTS).expect("the environment can be marked");
        }
        python
    })
}

fn create(folder: &Path, python: &Path) {
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
        .arg(scripts().join("requirements.txt"));
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

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs the tests of one module against the server at `base`.
fn run_module_on(base: &str, is_reference: bool, module: &str) {
    run_module_with(base, is_reference, module, &[]);
}

/// Runs a module with extra environment variables.
fn run_module_with(base: &str, is_reference: bool, module: &str, variables: &[(&str, &str)]) {
    let output = Command::new(python())
        .args(["-B", "-m", "unittest", "-v", module])
        .current_dir(scripts())
        .env("ORS_BASE_URL", base)
        .env("ORS_IS_REFERENCE", if is_reference { "1" } else { "0" })
        .envs(variables.iter().copied())
        .output()
        .expect("the environment's python can be started");
    let text = shown(&output);
    assert!(output.status.success(), "{module}:\n{text}");
    // A module without tests would succeed as well.
    assert!(!text.contains("Ran 0 tests"), "{module}:\n{text}");
}

/// Runs the tests of one module against the server under test.
fn run_module(module: &str) {
    let server = server_under_test();
    run_module_on(server.base(), server.is_reference(), module);
}

#[test]
fn the_clients_cannot_leave_this_machine() {
    run_module("guard");
}

#[test]
fn openreward_asynchronous() {
    run_module("openreward_async");
}

#[test]
fn openreward_synchronous() {
    run_module("openreward_sync");
}

#[test]
fn openreward_runs_bash() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("skipped: the server at ORS_BASE_URL need not have a shell");
        return;
    }
    let server = ServeCommand::workbench().start();
    run_module_on(server.base(), false, "openreward_shell");
    the_scripted_agent_solves_each_kind_of_task(server.base());
}

/// Runs the example's agent as its README does.
fn the_scripted_agent_solves_each_kind_of_task(base: &str) {
    let folder = workspace_dir().join("examples/workbench");
    let output = Command::new(python())
        .arg("-B")
        .arg(folder.join("agent.py"))
        .arg("test")
        .env("OPENREWARD_SESSION_URL", base)
        .env("OPENREWARD_API_URL", base)
        .env("OPENREWARD_API_KEY", "none")
        .env("OPENREWARD_DISABLE_UPDATE_CHECK", "1")
        .output()
        .expect("the environment's python can be started");
    let text = shown(&output);
    assert!(output.status.success(), "{text}");
    let solved = text.matches(" 1.00 finished=True").count();
    let solutions = fs::read_to_string(folder.join("solutions.sh")).expect("the solutions");
    assert_eq!(solved, solutions.matches("\n## ").count(), "{text}");
}

#[test]
fn a_name_chooses_the_environment() {
    let server = server_under_test();
    if server.is_reference() {
        eprintln!("skipped: the reference ignores the name");
        return;
    }
    run_module_on(server.base(), false, "deployments.Several");
}

#[test]
fn any_name_is_that_of_the_only_environment() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("skipped: the server at ORS_BASE_URL has several environments");
        return;
    }
    let server = ServeCommand::fixtures(&["chat"]).start();
    run_module_on(server.base(), false, "deployments.OnlyOne");
    const WARNING: &str = "unknown deployment answered by the only environment";
    server.wait_for_log(WARNING);
    let log = server.log();
    assert_eq!(
        log.matches(WARNING).count(),
        1,
        "one warning a minute:\n{log}"
    );
    assert!(log.contains("deployment=nonsense"), "{log}");
}

#[test]
fn openreward_survives_a_long_setup_and_a_long_call() {
    run_module("openreward_patience");
}

#[test]
fn ors_sdk() {
    run_module("ors_sdk");
}

#[test]
fn an_idle_session_expires() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("skipped: ORS_BASE_URL has no short idle timeout");
        return;
    }
    let server = ServeCommand::fixtures(&CONTRACT_FIXTURES)
        .set("--idle-timeout", "3s")
        .start();
    run_module_on(server.base(), false, "expiry");
}

/// Returns what a client saw of an episode, with or without a kill and restart of
/// the server during its long call.
fn episode(script: &str, killed: bool) -> String {
    let scratch = TestDir::new();
    let seen = scratch.at("seen");
    // One client sends its API key as a secret, which the fixture declares.
    let key = scratch.write("key", "5a".repeat(32));
    let serve = || {
        ServeCommand::fixtures(&["alpha"])
            .set("--state", scratch.at("state"))
            .set("--seal-key", &key)
    };
    let address = unused_address();
    let mut server = serve().start_at(&address);
    let base = server.base().to_owned();
    let client = BackgroundTask::spawn({
        let (script, seen) = (script.to_owned(), seen.clone());
        move || run_module_with(&base, false, &script, &[("ORS_SEEN", &seen)])
    });
    if killed {
        wait_until("the call is in the journal", TIMEOUT, || {
            assert!(!client.is_finished(), "the client ended before the kill");
            // With secrets the input is sealed, but not the tool's name, and this
            // tool is called once.
            journal_contains(scratch.at("state"), "sleep")
        });
        server.kill();
        server = serve().start_at(&address);
    }
    client.join();
    drop(server);
    fs::read_to_string(seen).expect("the script wrote what it saw")
}

/// Checks that a client sees the same episode with and without a kill.
fn is_not_affected_by_a_kill(client: &str) {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("skipped: the server at ORS_BASE_URL cannot be killed");
        return;
    }
    let script = format!("killed.Killed.test_{client}");
    let undisturbed = episode(&script, false);
    for part in ["0.75", "\"8\"", r#"\"start\": 1, \"end\": 2"#] {
        assert!(undisturbed.contains(part), "{part} in {undisturbed}");
    }
    assert_eq!(episode(&script, true), undisturbed, "{client}");
}

#[test]
fn openreward_is_not_affected_by_a_kill_in_mid_call() {
    is_not_affected_by_a_kill("openreward");
}

#[test]
fn ors_sdk_is_not_affected_by_a_kill_in_mid_call() {
    is_not_affected_by_a_kill("ors_sdk");
}
