//! Programs of a build, which end with this process.
//!
//! A build is several processes: cargo, compilers, build scripts. They are in the
//! process group of a watchdog, which ends the group when this process ends for
//! any reason. Without it, a stopped `orwd` would leave them running. The watchdog
//! starts first, so that it exists whenever a build does.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Waits until its standard input ends, and then ends its process group.
const WATCHDOG: &str = "trap '' TERM; read -r _; kill -TERM 0; sleep 2; kill -KILL 0";

/// Variables that a build does not see: some hold keys.
const PREFIX: &str = "ORWD_";

/// A program of a build and everything that it starts.
pub(super) struct BuildProcess {
    child: Child,
    /// `None` if this system has no shell.
    _watchdog: Option<Watchdog>,
}

/// A process that ends its process group when this process ends.
struct Watchdog(Child);

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
        let watchdog = Watchdog::start()
            .inspect_err(|error| tracing::debug!(%error, "build has no watchdog"))
            .ok();
        let group = watchdog.as_ref().map_or(0, Watchdog::group);
        Ok(BuildProcess {
            child: command.process_group(group).spawn()?,
            _watchdog: watchdog,
        })
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

impl Watchdog {
    fn start() -> io::Result<Watchdog> {
        let child = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Watchdog(child))
    }

    /// Returns its process group; 0 stands for a new one.
    fn group(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap_or(0)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // It may be gone; then there is nothing to end.
        self.0.kill().ok();
        self.0.wait().ok();
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
        drop(started._watchdog.as_mut().unwrap().0.stdin.take());
        // The grandchild holds the pipe as long as it lives.
        let begun = Instant::now();
        output.read_line(&mut line).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(!started.wait().unwrap().success());
    }

    /// A process can only be started in a group that exists, so the watchdog was
    /// there before the first process of the build.
    #[test]
    fn a_build_is_from_its_start_in_the_group_of_its_watchdog() {
        let mut build = command("sh");
        build.args(["-c", "cut -d ' ' -f 5 /proc/self/stat"]);
        build.stdout(Stdio::piped());
        let mut started = BuildProcess::start(&mut build).unwrap();
        let mut group = String::new();
        let mut output = BufReader::new(started.stdout().unwrap());
        output.read_line(&mut group).unwrap();
        let watchdog = started._watchdog.as_ref().unwrap().group();
        assert_eq!(group.trim(), watchdog.to_string());
        assert!(started.wait().unwrap().success());
    }
}
