//! A short run of every fuzz target on its seeds; `tests/fuzz` describes the
//! targets. `ORWD_FUZZ_SECONDS` makes the runs longer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use orwd_tests::artifacts::{cargo, profile, target_dir, workspace_dir};
use serde_json::Value;

/// Returns how long each target runs.
fn seconds() -> u64 {
    match std::env::var("ORWD_FUZZ_SECONDS") {
        Ok(text) => text.parse().expect("ORWD_FUZZ_SECONDS is a number"),
        Err(_) => 10,
    }
}

/// Returns the directory for the program, the corpus and the findings.
fn folder() -> PathBuf {
    target_dir().join("orwd-fuzz")
}

/// Builds and returns the program with all targets.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let archive = archive();
        let (flags, profile) = profile();
        let mut arguments = vec!["build", "--package", "orwd-fuzz", "--bin", "orwd-fuzz"];
        arguments.extend(["--features", "targets"]);
        arguments.extend(flags);
        let instrument = workspace_dir().join("tests/fuzz/instrument");
        cargo(
            &arguments,
            &[
                ("RUSTC_WORKSPACE_WRAPPER", instrument.as_os_str()),
                ("ORWD_LIBFUZZER", archive.as_os_str()),
            ],
        );
        let name = format!("orwd-fuzz{}", std::env::consts::EXE_SUFFIX);
        let kept = folder().join(&name);
        fs::create_dir_all(folder()).expect("a directory for the targets");
        fs::copy(target_dir().join(profile).join(&name), &kept).expect("the targets were built");
        kept
    })
}

/// Compiles libFuzzer and returns the directory of its archive.
fn archive() -> PathBuf {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let answers = Command::new(&compiler).arg("--version").output();
    assert!(
        answers.is_ok_and(|output| output.status.success()),
        "the fuzz targets need a C++ compiler, and {compiler:?} is none: install g++ or clang++, \
         or name one with CXX"
    );
    let manifest = workspace_dir().join("tests/fuzz/engine/Cargo.toml");
    let target = folder().join("engine");
    let report = cargo(
        &[
            "build",
            "--release",
            "--locked",
            "--message-format",
            "json",
            "--manifest-path",
            manifest.to_str().expect("a UTF-8 path"),
        ],
        &[("CARGO_TARGET_DIR", target.as_os_str())],
    );
    report
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "build-script-executed")
        .filter_map(|message| Some(PathBuf::from(message["out_dir"].as_str()?)))
        .find(|folder| folder.join("libfuzzer.a").is_file())
        .expect("libFuzzer was compiled")
}

/// Waits until fewer targets run than there are processors: a target that shares
/// a processor tries fewer inputs in its time.
fn slot() -> MutexGuard<'static, ()> {
    static SLOTS: OnceLock<Vec<Mutex<()>>> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let slots = SLOTS.get_or_init(|| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(|_| Mutex::new(())).collect()
    });
    let slot = NEXT.fetch_add(1, Ordering::Relaxed) % slots.len();
    slots[slot].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a target on its seeds and on inputs derived from them.
#[track_caller]
fn run(target: &str) {
    let seconds = seconds();
    let program = program();
    let _slot = slot();
    let seeds = workspace_dir().join("tests/fuzz/seeds").join(target);
    let count = fs::read_dir(&seeds).expect("a directory of seeds").count();
    assert!(count > 0, "{target} has no seeds");
    let corpus = folder().join("corpus").join(target);
    let findings = folder().join("findings");
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).expect("a directory for findings");
    }
    let scratch = orwd_tests::test_dir::TestDir::new();
    let output = Command::new(program)
        .arg(target)
        .arg(&corpus)
        .arg(&seeds)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{target}-", findings.display()))
        // The same start every time; an input that runs into the timeout is a
        // finding.
        .args([
            "-seed=1",
            "-timeout=30",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ])
        .env("TMPDIR", scratch.path())
        .output()
        .expect("the targets can be started");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{target} found something; the input is in {}:\n{report}",
        findings.display()
    );
    let inputs: u64 = report
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or_else(|| panic!("no figures in: {report}"));
    assert!(inputs > count as u64, "{inputs} inputs only: {report}");
    println!("{target}: {inputs} inputs in {seconds} s");
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            run(stringify!($target));
        })*
    };
}

targets!(framing request events results overlay manifest scan);
