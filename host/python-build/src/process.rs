//! Programs of a build, which end with this process.
//!
//! A program gets a process group of its own, and a pipe as standard input. The
//! builder ends its group when that pipe closes, so a stopped `orwd` leaves
//! nothing running.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use crate::error::PythonBuildError;
use crate::progress::PythonProgress;

/// Lines of output that an error shows.
const SHOWN: usize = 30;

/// The environment variables that decide which files Python reads.
const UNSET: [&str; 4] = ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_REQUIREMENT"];

/// Variables that a build does not see: some hold keys.
const PREFIX: &str = "ORWD_";

/// Returns a command without variables that would lead Python elsewhere, or that
/// hold keys of the server.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            command.env_remove(name);
        }
    }
    for variable in UNSET {
        command.env_remove(variable);
    }
    command.process_group(0);
    command
}

/// Runs a program and returns its output.
pub(crate) fn output(command: &mut Command) -> Result<Output, PythonBuildError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|reason| not_run(command, reason))
}

/// Runs the builder: writes the request, reports each line of its standard error,
/// and returns its standard output.
pub(crate) fn exchange(
    command: &mut Command,
    request: &str,
    progress: PythonProgress<'_>,
) -> Result<String, PythonBuildError> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|reason| not_run(command, reason))?;
    // Open until the builder ends.
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        let line = format!("{request}\n");
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush())
            .map_err(|reason| not_run(command, reason))?;
    }
    let mut lines = Vec::new();
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            progress(&line);
            lines.push(line);
        }
    }
    let mut answer = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut answer).ok();
    }
    let status = child.wait().map_err(|reason| not_run(command, reason))?;
    if !status.success() {
        return Err(PythonBuildError::Builder {
            status: status.to_string(),
            output: last_lines(&lines.join("\n")),
        });
    }
    Ok(answer)
}

/// Returns the end of a program's output.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skipped = lines.len().saturating_sub(SHOWN);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n")
}

fn not_run(command: &Command, reason: std::io::Error) -> PythonBuildError {
    PythonBuildError::NotRun {
        program: command.get_program().to_string_lossy().into_owned(),
        reason,
    }
}
