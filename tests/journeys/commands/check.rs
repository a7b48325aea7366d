//! `orwd check`: what of a Python environment will not work. Needs `python3`.

use std::path::PathBuf;
use std::process::Command;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::process::OrwdCommand;
use orwd_tests::requirement::skip;
use orwd_tests::test_dir::TestDir;
use serde_json::Value;

fn environment(name: &str) -> PathBuf {
    workspace_dir()
        .join("guest-sdk/python/tests/check/environments")
        .join(name)
}

fn has_python() -> bool {
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 10))";
    let found = Command::new("python3").args(["-c", new_enough]).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    skip("python3 3.10 or newer", "install Python");
    false
}

/// Runs the tests of a folder of the Python SDK.
fn passes_python_tests(folder: &str) {
    if !has_python() {
        return;
    }
    let tests = workspace_dir().join("guest-sdk/python/tests").join(folder);
    let done = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(tests)
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(
        said.contains("\nRan ") && !said.contains("Ran 0 tests"),
        "{said}"
    );
}

#[test]
fn the_tests_of_the_checker_pass() {
    passes_python_tests("check");
}

#[test]
fn the_tests_of_the_wheel_builder_pass() {
    passes_python_tests("wheels");
}

#[test]
fn an_environment_that_can_run_passes() {
    if !has_python() {
        return;
    }
    let checked = OrwdCommand::new(
        ["check"]
            .map(PathBuf::from)
            .into_iter()
            .chain([environment("trivia")]),
    )
    .run();
    let said = checked.expect_success();
    assert!(
        said.contains("nothing found that would not work (Trivia; 2 modules read)"),
        "{said}"
    );
}

#[test]
fn an_environment_that_cannot_run_is_refused_with_line_reason_and_remedy() {
    if !has_python() {
        return;
    }
    let path = environment("code_runner.py");
    let checked = OrwdCommand::new([PathBuf::from("check"), path.clone()]).run();
    assert_eq!(checked.code, Some(1), "{checked}");
    let first = format!("{}:34:20: error: subprocess.run(…): ", path.display());
    assert!(checked.stdout.starts_with(&first), "{checked}");
    assert!(checked.stdout.contains("    remedy: "), "{checked}");

    let checked = OrwdCommand::new([PathBuf::from("check"), path, PathBuf::from("--json")]).run();
    assert_eq!(checked.code, Some(1), "{checked}");
    let report: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(report["runs"], false);
    assert_eq!(report["findings"][0]["code"], "process");
    assert_eq!(report["findings"][0]["line"], 34);
}

/// What lies in the working directory must not replace modules of the checker.
#[test]
fn nothing_of_the_author_runs() {
    if !has_python() {
        return;
    }
    let dir = TestDir::new();
    let trap = "import pathlib; pathlib.Path('ran').touch()\n";
    for name in [
        "env.py",
        "ast.py",
        "json.py",
        "orwd_build.py",
        "sitecustomize.py",
    ] {
        dir.write(name, trap);
    }
    let checked = OrwdCommand::new(["check", "."])
        .current_dir(dir.path())
        .env("PYTHONPATH", dir.path())
        .run();
    assert_eq!(checked.code, Some(1), "{checked}");
    assert!(checked.stdout.contains("no-environment"), "{checked}");
    assert!(!dir.path().join("ran").exists());
    OrwdCommand::new(["check", "missing.py"])
        .current_dir(dir.path())
        .run()
        .expect_failure(&["missing.py: no such file or folder"]);
}
