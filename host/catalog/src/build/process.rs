//! Programs of a build, which end with this process.
//!
//! A build is several processes: cargo, compilers, build scripts. They are a
//! process group of their own, and a watchdog ends the group when this process
//! ends for any reason. Without it, a stopped `orwd` would leave them running.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Waits until its standard input ends, and then ends a process group.
const WATCHDOG: &str = "read -r _; kill -TERM \"-$0\"; sleep 2; kill -KILL \"-$0\"";

/// Variables that a build does not see: some hold keys.
const PREFIX: &str = "ORWD_";

/// A program of a build and everything that it starts.
pub(super) struct BuildProcess {
    child: Child,
    /// `None` if this system has no shell.
    watchdog: Option<Child>,
}

/// Creates a command of a build.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

impl BuildProcess {
    /// Starts a command.
    pub(super) fn start(command: &mut Command) -> io::Result<BuildProcess> {
        let child = command.process_group(0).spawn()?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .inspect_err(|error| tracing::debug!(%error, "build has no watchdog"))
            .ok();
        Ok(BuildProcess { child, watchdog })
    }

    /// Takes its standard output, if it was piped.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for BuildProcess {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            // The watchdog may be gone; then there is nothing to end.
            watchdog.kill().ok();
            watchdog.wait().ok();
        }
    }
}

/// Runs a command to its end.
pub(super) fn run(command: &mut Command) -> io::Result<ExitStatus> {
    BuildProcess::start(command)?.wait()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::time::{Duration, Instant};

    use super::*;

    /// The watchdog of a process that is killed sees its pipe close.
    #[test]
    fn what_a_build_started_ends_when_the_pipe_of_its_watchdog_closes() {
        let mut build = command("sh");
        build.args(["-c", "sleep 600 & echo $!; wait"]);
        build.stdout(Stdio::piped());
        let mut started = BuildProcess::start(&mut build).unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(started.stdout().unwrap());
        output.read_line(&mut line).unwrap();
        drop(started.watchdog.as_mut().unwrap().stdin.take());
        // The grandchild holds the pipe as long as it lives.
        let begun = Instant::now();
        output.read_line(&mut line).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(!started.wait().unwrap().success());
    }
}
