//! `bench shell`: command lines in the shell of `examples/workbench`, beside the same
//! command lines of a native `bash -c`, and the memory of a session that ran some.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orwd_tests::artifacts::workbench;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde::Serialize;
use serde_json::json;

use crate::process::ProcessMemory;
use crate::statistics::{median_or_nan, millis};

/// What a row of the table is called, and its command line.
const COMMANDS: [(&str, &str); 6] = [
    ("true", "true"),
    ("list", "ls -la"),
    (
        "pipeline",
        "cat words | sort | uniq -c | sort -rn | head -3",
    ),
    ("search", "grep -rn line tree | wc -l"),
    (
        "additions",
        "x=0; for ((i=0; i<1000; i++)); do x=$((x+i)); done; echo $x",
    ),
    ("sum", "seq 100000 | awk '{s+=$1} END {print s}'"),
];

/// Makes the files that the command lines read.
const SETUP: &str = "mkdir -p tree; for i in $(seq 100); do printf 'a line\\nanother line\\n' > tree/f$i; done; \
                     for i in $(seq 50); do echo word$((i % 7)); done > words";

/// The parameters of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShellPlan {
    /// The number of runs of each command line.
    pub(crate) runs: usize,
    /// The number of sessions whose memory is measured.
    pub(crate) sessions: usize,
}

/// The medians of one command line, in milliseconds.
#[derive(Clone, Debug, Serialize)]
struct CommandFigures {
    name: &'static str,
    tool_ms: f64,
    bash_ms: f64,
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShellReport {
    component_bytes: u64,
    commands: Vec<CommandFigures>,
    create_ms: f64,
    /// Resident bytes for each session, when opened and after the pipeline.
    resident_opened: f64,
    resident_used: f64,
}

/// Measures, and says each figure.
pub(crate) fn run(plan: ShellPlan, mut say: impl FnMut(&str)) -> Result<ShellReport, String> {
    workbench();
    let server = ServeCommand::workbench()
        .set("--log", "warn")
        .set("--create-rate", "100000")
        .start();
    let ors = server.ors();
    let open = || ors.open("workbench", TaskSelector::At("playground", 0));
    let session = open();
    bash(&session, SETUP)?;
    let folder = TestDir::new();
    native(&folder, SETUP)?;
    let mut commands = Vec::new();
    for (name, command) in COMMANDS {
        let mut tool = Vec::new();
        let mut shell = Vec::new();
        for _ in 0..plan.runs {
            tool.push(millis(bash(&session, command)?));
            shell.push(millis(native(&folder, command)?));
        }
        let figures = CommandFigures {
            name,
            tool_ms: median_or_nan(tool),
            bash_ms: median_or_nan(shell),
        };
        let (tool, shell) = (figures.tool_ms, figures.bash_ms);
        say(&format!("{name}: {tool:.2} ms, bash -c {shell:.2} ms"));
        commands.push(figures);
    }
    let before = ProcessMemory::of(server.pid())?.resident;
    let mut creation = Vec::new();
    let sessions: Vec<SessionClient> = (0..plan.sessions)
        .map(|_| {
            let start = Instant::now();
            let session = open();
            creation.push(millis(start.elapsed()));
            session
        })
        .collect();
    for session in &sessions {
        // Waits for setup.
        session.get("prompt");
    }
    let opened = ProcessMemory::of(server.pid())?.resident;
    for session in &sessions {
        bash(
            session,
            "for i in $(seq 50); do echo word$((i % 7)); done > words",
        )?;
        bash(session, COMMANDS[2].1)?;
    }
    let used = ProcessMemory::of(server.pid())?.resident;
    #[allow(clippy::cast_precision_loss, reason = "memory is below 2^53 bytes")]
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / plan.sessions as f64;
    let file = orwd_tests::artifacts::target_dir().join("wasm32-wasip2/component/workbench.wasm");
    let report = ShellReport {
        component_bytes: std::fs::metadata(file).map_or(0, |found| found.len()),
        commands,
        create_ms: median_or_nan(creation),
        resident_opened: each(opened),
        resident_used: each(used),
    };
    say(&format!(
        "component {:.1} MB; a session {:.2} MB when opened and {:.2} MB after a pipeline; created in {:.2} ms",
        report.component_bytes as f64 / 1e6,
        report.resident_opened / 1e6,
        report.resident_used / 1e6,
        report.create_ms,
    ));
    Ok(report)
}

/// Runs a command line with the tool, and returns its time.
fn bash(session: &SessionClient, command: &str) -> Result<Duration, String> {
    let start = Instant::now();
    let output = session.call("bash", json!({"command": command})).output();
    let time = start.elapsed();
    match output["metadata"]["exit_code"].as_i64() {
        Some(0) => Ok(time),
        _ => Err(format!("{command}: {output}")),
    }
}

/// Runs a command line natively, and returns its time.
fn native(folder: &TestDir, command: &str) -> Result<Duration, String> {
    let start = Instant::now();
    let status = Command::new("bash")
        .args(["-c", command])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("bash: {error}"))?;
    match status.success() {
        true => Ok(start.elapsed()),
        false => Err(format!("{command}: {status}")),
    }
}
