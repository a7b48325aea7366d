//! The lanes: the checks before a push, and the long suites.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

use crate::workspace::{Finding, Result, Workspace};
use crate::{circles, doc_examples, docs, engine_build, graph, unsafe_code, vocabulary};

/// Runs the checks that a push needs.
///
/// Every step runs, so that one run reports all problems.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut failed = Vec::new();
    cargo(
        workspace,
        "format",
        &["fmt", "--all", "--check"],
        &mut failed,
    );
    let mut findings = Vec::new();
    let started = Instant::now();
    findings.extend(vocabulary::check(workspace)?);
    findings.extend(unsafe_code::check(workspace)?);
    findings.extend(circles::check(workspace, &[])?);
    findings.extend(graph::check(workspace)?);
    findings.extend(doc_examples::check(workspace)?);
    findings.extend(engine_build::check(workspace)?);
    log_duration(
        "vocabulary, unsafe code, circles, graph, examples, engine",
        started,
    );
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    cargo(workspace, "clippy", &clippy, &mut failed);
    let mut tests = vec!["test", "--quiet", "--lib", "--bins", "--package", "xtask"];
    let product: Vec<&str> = workspace
        .product()
        .flat_map(|package| ["--package", package.name.as_str()])
        .collect();
    tests.extend(product);
    cargo(workspace, "unit tests", &tests, &mut failed);
    let started = Instant::now();
    findings.extend(docs::check(workspace)?);
    log_duration("docs", started);
    if failed.is_empty() {
        return Ok(findings);
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(format!("failed: {}", failed.join(", ")).into())
}

/// Runs the long suites.
pub(crate) fn soak(workspace: &Workspace) -> Result<()> {
    let mut failed = Vec::new();
    let crash = [
        "run",
        "--release",
        "--package=orwd-tests",
        "--bin=crash",
        "--",
        "--kills",
        "200",
    ];
    cargo(workspace, "crash", &crash, &mut failed);
    let hostile = [
        "test",
        "--release",
        "--package=orwd-tests",
        "--features=soak",
        "--test=hostile",
    ];
    cargo(workspace, "hostile", &hostile, &mut failed);
    let replay = [
        "test",
        "--release",
        "--package=orwd-tests",
        "--features=soak",
        "--test=replay",
    ];
    cargo(workspace, "replay", &replay, &mut failed);
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

/// Builds every wheel from its sources, compares the digests, and plays environments
/// that use them natively and as components.
pub(crate) fn wheels(workspace: &Workspace) -> Result<()> {
    let mut failed = Vec::new();
    // `orwd` finds the wheels in its cache, which is that of the tests.
    let build = [
        "guest-sdk/python/wheels/build.py",
        "--check",
        "--cache=target/orwd-cache/wheels",
    ];
    step(workspace, "wheels", "python3", &build, &mut failed);
    let host = ["build", "--release", "--package=orwd"];
    cargo(workspace, "host", &host, &mut failed);
    let play = ["tests/python/packages.py", "target/release/orwd"];
    step(workspace, "environments", "python3", &play, &mut failed);
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

/// Runs cargo and notes the name of the step if it fails.
fn cargo<'a>(workspace: &Workspace, name: &'a str, arguments: &[&str], failed: &mut Vec<&'a str>) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    step(workspace, name, &cargo, arguments, failed);
}

/// Runs a program and notes the name of the step if it fails.
fn step<'a>(
    workspace: &Workspace,
    name: &'a str,
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    failed: &mut Vec<&'a str>,
) {
    let started = Instant::now();
    let done = Command::new(program)
        .args(arguments)
        .current_dir(&workspace.root)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        failed.push(name);
    }
    log_duration(name, started);
}

fn log_duration(step: &str, started: Instant) {
    eprintln!("== {step}: {:.1} s", started.elapsed().as_secs_f64());
}
