//! The table of command lines, compared with bash 5.2.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use orwd_tests::artifacts::{target_dir, workspace_dir};
use orwd_tests::background::run_concurrently;
use orwd_tests::test_dir::TestDir;
use serde::{Deserialize, Serialize};

use crate::support::{Ran, bash, close, playground};

/// The least number of command lines.
const ROWS: usize = 300;

/// The least share of command lines whose output and exit code are equal.
const SHARE: f64 = 0.80;

/// A command line with what bash prints.
#[derive(Clone, Deserialize, Serialize)]
struct Row {
    area: String,
    command: String,
    output: String,
    exit: i64,
}

fn path(name: &str) -> PathBuf {
    workspace_dir().join("tests/shell").join(name)
}

fn setup() -> String {
    fs::read_to_string(path("setup.sh")).expect("the setup can be read")
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(path("commands.jsonl")).expect("the table can be read");
    let rows: Vec<Row> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    match std::env::var_os("ORWD_SHELL_RECORD") {
        Some(_) => record(rows),
        None => rows,
    }
}

/// Runs each command line with the `bash` of this machine and writes the table.
fn record(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        let folder = TestDir::new();
        let run = |script: &str| {
            Command::new("bash")
                .args(["-c", "exec bash -c \"$1\" 2>&1", "bash", script])
                .current_dir(folder.path())
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", folder.path())
                .env("LC_ALL", "C.UTF-8")
                .env("TZ", "UTC")
                .stdin(Stdio::null())
                .output()
                .expect("bash can be started")
        };
        assert!(run(&setup()).status.success());
        let ran = run(&row.command);
        row.output = String::from_utf8_lossy(&ran.stdout).into_owned();
        row.exit = ran.status.code().unwrap_or(-1).into();
    }
    let lines = rows
        .iter()
        .map(|row| serde_json::to_string(row).expect("JSON"));
    let text: String = lines.map(|line| line + "\n").collect();
    fs::write(path("commands.jsonl"), text).expect("the table can be written");
    rows
}

/// Returns the command lines whose result is known to differ, each with the reason.
fn known() -> BTreeMap<String, String> {
    let text = fs::read_to_string(path("differences.json")).expect("the list can be read");
    serde_json::from_str(&text).expect("an object of strings")
}

#[test]
fn commands_print_what_bash_prints() {
    let rows = rows();
    assert!(rows.len() >= ROWS, "{} rows", rows.len());
    let setup = setup();
    let parts = rows.chunks(rows.len().div_ceil(4)).map(|part| {
        let (part, setup) = (part.to_vec(), setup.clone());
        move || {
            let run = |row: &Row| {
                let session = playground();
                assert_eq!(bash(&session, &setup).exit, 0);
                let ran = bash(&session, &row.command);
                close(&session);
                ran
            };
            part.into_iter()
                .map(|row| (run(&row), row))
                .collect::<Vec<(Ran, Row)>>()
        }
    });
    let results: Vec<(Ran, Row)> = run_concurrently(parts).into_iter().flatten().collect();
    let known = known();
    let mut report = String::new();
    let mut shares: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut news, mut equal) = (Vec::new(), 0);
    for (ran, row) in &results {
        let is_equal = ran.output == row.output && ran.exit == row.exit;
        let share = shares.entry(&row.area).or_default();
        share.1 += 1;
        if is_equal {
            share.0 += 1;
            equal += 1;
        } else {
            report.push_str(&format!(
                "$ {}\nbash {}:\n{}\nhere {}:\n{}\n\n",
                row.command, row.exit, row.output, ran.exit, ran.output
            ));
        }
        if is_equal == known.contains_key(&row.command) {
            let word = if is_equal { "equal now" } else { "differs" };
            news.push(format!("{word}: {}", row.command));
        }
    }
    for (area, (equal, all)) in &shares {
        println!("{area}: {equal} of {all} equal");
    }
    println!(
        "{equal} of {} command lines print what bash prints",
        results.len()
    );
    let folder = target_dir().join("orwd-shell");
    fs::create_dir_all(&folder).expect("the target directory can be written to");
    let file = folder.join("differences.txt");
    fs::write(&file, report).expect("the target directory can be written to");
    assert!(
        news.is_empty(),
        "tests/shell/differences.json is out of date; the outputs are in {}:\n{}",
        file.display(),
        news.join("\n")
    );
    // A share that the differences on record must not lower unnoticed.
    let share = equal as f64 / results.len() as f64;
    assert!(share >= SHARE, "{equal} of {} are equal", results.len());
}
