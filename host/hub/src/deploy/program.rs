//! Running programs for a time: `orwd inspect` on the sources of a version, and git.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::layout::Layout;

/// The program of this process.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The time to admit a component.
const ADMISSION: Duration = Duration::from_secs(180);

/// The time to build a component from its sources.
const BUILD: Duration = Duration::from_secs(1800);

/// Bytes of the output that are kept.
const MAX_OUTPUT: u64 = 8 << 20;

/// The time between two looks at the program.
const POLL: Duration = Duration::from_millis(10);

/// What a program printed.
pub(crate) struct Printed {
    pub(crate) is_success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `orwd inspect --json` on a folder or a component, which it admits,
/// compiles and asks for its description in a process of its own. With
/// `is_build`, it builds the sources first. Blocks.
pub(super) fn inspect(layout: &Layout, path: &Path, is_build: bool) -> Result<Printed, String> {
    let mut command = Command::new(OWN_PROGRAM);
    command.env_clear().env("NO_COLOR", "1");
    let mut kept: Vec<&str> = vec!["PATH"];
    if is_build {
        // The toolchain is in the operator's home directory.
        kept.extend(["HOME", "CARGO_HOME", "RUSTUP_HOME"]);
    } else {
        command.env("HOME", layout.home());
    }
    for name in kept {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let child = command
        .args([
            "inspect",
            "--json",
            if is_build { "--build" } else { "--no-build" },
        ])
        .arg("--cache")
        .arg(layout.cache())
        .arg(path)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the admission: {error}"))?;
    finish(child, if is_build { BUILD } else { ADMISSION })
}

/// Waits for the end of a program that leads a group of processes, and ends the group
/// after a time. Blocks.
pub(crate) fn finish(mut child: Child, limit: Duration) -> Result<Printed, String> {
    let stdout = child.stdout.take().map(|pipe| thread::spawn(|| read(pipe)));
    let stderr = child.stderr.take().map(|pipe| thread::spawn(|| read(pipe)));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => thread::sleep(POLL),
        }
    };
    if status.is_none() {
        kill(&child);
        child.wait().map_err(|error| error.to_string())?;
    }
    let text = |thread: Option<thread::JoinHandle<String>>| {
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    };
    let printed = Printed {
        is_success: status.is_some_and(|status| status.success()),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    match status {
        Some(_) => Ok(printed),
        None => Err(format!("it took longer than {} seconds", limit.as_secs())),
    }
}

/// Ends a program and those that it started.
fn kill(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended.
        kill_process_group(pid, Signal::KILL).ok();
    }
}

/// Reads an output to its end, and returns the beginning of it.
fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
