//! `cargo xtask test`: all tests of the workspace, two suites at a time.
//!
//! `cargo test` runs the suites in sequence, and most of them wait more than they
//! compute. Here two lanes run them. What measures response times runs in the first
//! lane; the second has a lower priority, so that it takes the processors only when
//! the first waits.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::workspace::{Result, Workspace};

/// The suites of the first lane, the longest first.
const FIRST: [&str; 4] = ["hostile", "journeys", "conformance", "crash"];

/// The suites of the second lane, the longest first.
const SECOND: [&str; 6] = ["python", "clients", "fuzz", "shell", "replay", "web"];

/// Lines of its failures that are repeated at the end, for each suite.
const REPEATED: usize = 60;

/// One run of `cargo test`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suite {
    name: String,
    /// What of the workspace it runs.
    targets: Vec<String>,
}

/// The end of a run.
struct Done {
    name: String,
    output: String,
    passed: bool,
}

/// Builds and runs all tests. Fails if a suite fails, after all have run.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let started = Instant::now();
    let built = cargo(workspace, &["--no-run"]).status()?;
    if !built.success() {
        return Err("the tests do not build".into());
    }
    eprintln!("== build: {} s", started.elapsed().as_secs());
    let [first, second] = lanes(&workspace.tests());
    let folder = workspace.target().join("test-output");
    fs::create_dir_all(&folder)?;
    let (first, second) = (Mutex::new(first), Mutex::new(second));
    let done = Mutex::new(Vec::new());
    let lane = |own: &Mutex<VecDeque<Suite>>, other: &Mutex<VecDeque<Suite>>, nice: bool| {
        // A lane that has no more takes the shortest of the other.
        while let Some(suite) = locked(own).pop_front().or_else(|| locked(other).pop_back()) {
            let ended = run_suite(workspace, &suite, &folder, nice);
            locked(&done).push(ended);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| lane(&first, &second, false));
        scope.spawn(|| lane(&second, &first, true));
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed: Vec<&Done> = done.iter().filter(|suite| !suite.passed).collect();
    for suite in &failed {
        println!("== {}: failures", suite.name);
        for line in failures(&suite.output).take(REPEATED) {
            println!("{line}");
        }
    }
    eprintln!("== all tests: {} s", started.elapsed().as_secs());
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = failed.iter().map(|suite| suite.name.as_str()).collect();
    Err(format!("failed: {}", names.join(", ")).into())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Divides the test targets of the workspace: what has a lane by its name, and the
/// others in one suite of the second lane.
fn lanes(tests: &[String]) -> [VecDeque<Suite>; 2] {
    let named = |names: &[&str]| -> VecDeque<Suite> {
        let there = names
            .iter()
            .filter(|name| tests.iter().any(|test| test == *name));
        there
            .map(|name| Suite {
                name: (*name).to_owned(),
                targets: vec!["--test".to_owned(), (*name).to_owned()],
            })
            .collect()
    };
    let mut second = named(&SECOND);
    let mut others = vec![
        "--lib".to_owned(),
        "--bins".to_owned(),
        "--examples".to_owned(),
    ];
    for test in tests {
        if !FIRST.contains(&test.as_str()) && !SECOND.contains(&test.as_str()) {
            others.extend(["--test".to_owned(), test.clone()]);
        }
    }
    second.push_back(Suite {
        name: "units".to_owned(),
        targets: others,
    });
    second.push_back(Suite {
        name: "doc".to_owned(),
        targets: vec!["--doc".to_owned()],
    });
    [named(&FIRST), second]
}

/// Runs a suite and prints its output when it ends, as one piece.
fn run_suite(workspace: &Workspace, suite: &Suite, folder: &Path, nice: bool) -> Done {
    let started = Instant::now();
    let path = folder.join(format!("{}.log", suite.name));
    let ran = run_logged(workspace, suite, &path, nice);
    let output = fs::read(&path).unwrap_or_default();
    let mut output = String::from_utf8_lossy(&output).into_owned();
    let passed = match ran {
        Ok(passed) => passed,
        Err(error) => {
            output.push_str(&format!("{error}\n"));
            false
        }
    };
    let word = if passed { "passed" } else { "failed" };
    let head = format!(
        "== {} {word}: {} s\n",
        suite.name,
        started.elapsed().as_secs()
    );
    let mut to = std::io::stdout().lock();
    // Nobody reads it if this fails.
    let _ = to.write_all(output.as_bytes());
    let _ = to.write_all(head.as_bytes());
    Done {
        name: suite.name.clone(),
        output,
        passed,
    }
}

/// Runs a suite with its output in a file; returns whether it passed.
fn run_logged(workspace: &Workspace, suite: &Suite, path: &PathBuf, nice: bool) -> Result<bool> {
    let log = File::create(path)?;
    let mut arguments = vec!["--no-fail-fast"];
    arguments.extend(suite.targets.iter().map(String::as_str));
    let mut command = cargo(workspace, &arguments);
    if nice {
        let mut lower = Command::new("nice");
        lower.args(["-n", "10"]).arg(command.get_program());
        lower.args(command.get_args()).current_dir(&workspace.root);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => lower.env(name, value),
                None => lower.env_remove(name),
            };
        }
        command = lower;
    }
    let status = command
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log)
        .status()?;
    Ok(status.success())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--release", "--workspace"])
        .args(arguments)
        .current_dir(&workspace.root);
    // Cargo describes this package to this program. Build scripts that read such a
    // variable would run again, and what depends on them would be compiled again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Returns the lines that say which tests failed and why, without the frames of
/// stacks.
fn failures(output: &str) -> impl Iterator<Item = &str> {
    let mut left = 0;
    output.lines().filter(move |line| {
        if line.contains("panicked at") {
            left = 6;
        }
        let is_frame = line
            .trim_start()
            .split_once(": ")
            .is_some_and(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let shown = (left > 0 && !is_frame)
            || (line.starts_with("test ") && line.ends_with("FAILED"))
            || line.starts_with("error");
        left = usize::saturating_sub(left, 1);
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_target_is_in_one_lane() {
        let tests: Vec<String> = FIRST
            .iter()
            .chain(&SECOND)
            .chain(&["bindings", "episodes"])
            .map(|name| (*name).to_owned())
            .collect();
        let suites: Vec<Suite> = lanes(&tests).into_iter().flatten().collect();
        for test in &tests {
            let found = suites
                .iter()
                .filter(|suite| suite.targets.contains(test))
                .count();
            assert_eq!(found, 1, "{test}");
        }
        // A target that is gone is no error.
        let suites: Vec<Suite> = lanes(&[]).into_iter().flatten().collect();
        let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, ["units", "doc"]);
    }

    #[test]
    fn the_lanes_name_test_targets_of_this_workspace() {
        let tests = Workspace::open().unwrap().tests();
        for name in FIRST.iter().chain(&SECOND) {
            assert!(tests.iter().any(|test| test == name), "{name}");
        }
    }

    #[test]
    fn failures_are_repeated_without_stacks() {
        let output = "running 2 tests\ntest a ... ok\ntest b ... FAILED\nnoise\n\
                      thread 'b' panicked at x.rs:1:2:\nexpected 1\n   0: main\n\nmore\nx\ny\nz\n";
        let shown: Vec<&str> = failures(output).collect();
        assert_eq!(
            shown,
            [
                "test b ... FAILED",
                "thread 'b' panicked at x.rs:1:2:",
                "expected 1",
                "",
                "more",
                "x"
            ]
        );
    }
}
