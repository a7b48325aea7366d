//! The host processes, and the sockets at which they accept connections.
//!
//! The supervisor owns the sockets, so connections wait while a process starts
//! or is restarted.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The program of this process, which stays the same file if a new version is
/// installed.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// A process that ends sooner than this after its start has failed to start.
const STABLE: Duration = Duration::from_secs(10);

/// Failed starts in sequence after which a process is given up.
const MAX_FAILURES: u32 = 3;

/// A child process with a listening socket as its standard input.
pub(super) struct Process {
    name: String,
    arguments: Vec<OsString>,
    listener: TcpListener,
    child: Option<Child>,
    started: Instant,
    failures: u32,
    /// Starts not before this time.
    restart_at: Option<Instant>,
    /// Whether it was asked to end.
    is_stopping: bool,
}

impl Process {
    /// Starts a process. `stdout` is its standard output.
    pub(super) fn start(
        name: &str,
        arguments: Vec<OsString>,
        listener: TcpListener,
        stdout: Stdio,
    ) -> std::io::Result<Process> {
        let mut process = Process {
            name: name.to_owned(),
            arguments,
            listener,
            child: None,
            started: Instant::now(),
            failures: 0,
            restart_at: None,
            is_stopping: false,
        };
        process.spawn(stdout)?;
        Ok(process)
    }

    /// Starts the process again, after it has ended. A process group of its own
    /// keeps Ctrl-C from it, so that it gets each signal once.
    pub(super) fn spawn(&mut self, stdout: Stdio) -> std::io::Result<()> {
        let socket = OwnedFd::from(self.listener.try_clone()?);
        let mut command = Command::new(OWN_PROGRAM);
        // Settings of the operator's own servers do not apply.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"ORWD_") && name != "ORWD_LOG" {
                command.env_remove(name);
            }
        }
        // Components are where their version has them.
        command.env_remove("CARGO_TARGET_DIR");
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::from(socket))
            .stdout(stdout)
            .process_group(0)
            .spawn()?;
        tracing::info!(process = self.name, pid = child.id(), "process started");
        self.child = Some(child);
        self.started = Instant::now();
        self.restart_at = None;
        Ok(())
    }

    /// Returns whether the process runs. Logs its end.
    pub(super) fn is_running(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return false;
        };
        match child.try_wait() {
            Ok(None) => return true,
            Ok(Some(status)) if self.is_stopping && status.success() => {
                tracing::info!(process = self.name, "process stopped");
            }
            Ok(Some(status)) => {
                tracing::warn!(process = self.name, %status, "process ended");
            }
            Err(error) => tracing::error!(process = self.name, %error, "cannot wait for process"),
        }
        self.child = None;
        let has_failed = self.started.elapsed() < STABLE;
        self.failures = if has_failed { self.failures + 1 } else { 0 };
        let pause = Duration::from_millis(200) * 2_u32.pow(self.failures.min(6));
        self.restart_at = Some(Instant::now() + pause);
        false
    }

    /// Returns whether it is time to start it again.
    pub(super) fn is_due(&self) -> bool {
        self.restart_at.is_some_and(|at| at <= Instant::now())
    }

    /// Returns whether it has failed too often.
    pub(super) fn is_hopeless(&self) -> bool {
        self.failures >= MAX_FAILURES
    }

    /// Asks it to end.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.is_stopping = true;
        let id = self.child.as_ref().map(Child::id);
        let pid = id
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended.
            kill_process_group(pid, signal).ok();
        }
    }
}

/// The host processes by name.
#[derive(Default)]
pub(super) struct HostProcesses {
    running: HashMap<String, Process>,
    /// Stopped ones that have not ended yet, with whether one of the same name
    /// is to start then.
    stopping: Vec<Process>,
}

impl HostProcesses {
    /// Returns the port of a process, if it runs or starts.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        let process = self.running.get(name)?;
        process
            .listener
            .local_addr()
            .ok()
            .map(|address| address.port())
    }

    /// Starts a process, and returns its port.
    pub(super) fn start(&mut self, name: &str, arguments: Vec<OsString>) -> Result<u16, String> {
        // The state directory has one server at a time.
        if self.stopping.iter().any(|process| process.name == name) {
            return Err("the host process is being restarted; try again in a moment".to_owned());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let process = Process::start(name, arguments, listener, Stdio::null());
        let process = process.map_err(|error| error.to_string())?;
        self.running.insert(name.to_owned(), process);
        self.port(name)
            .ok_or_else(|| "the socket has no port".to_owned())
    }

    /// Stops a process. Running calls may finish.
    pub(super) fn stop(&mut self, name: &str) {
        if let Some(mut process) = self.running.remove(name) {
            process.signal(Signal::TERM);
            self.stopping.push(process);
        }
    }

    /// Starts the processes again that have ended, and gives up those that cannot
    /// start.
    pub(super) fn check(&mut self) {
        self.stopping.retain_mut(Process::is_running);
        let mut given_up = Vec::new();
        for (name, process) in &mut self.running {
            if process.is_running() {
                continue;
            }
            if process.is_hopeless() {
                given_up.push(name.clone());
            } else if process.is_due()
                && let Err(error) = process.spawn(Stdio::null())
            {
                tracing::error!(process = name, %error, "cannot start process");
                given_up.push(name.clone());
            }
        }
        for name in given_up {
            tracing::error!(process = name, "process given up");
            self.running.remove(&name);
        }
    }

    /// Asks all processes to end.
    pub(super) fn stop_all(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            self.stop(&name);
        }
    }

    /// Returns whether all stopped processes have ended.
    pub(super) fn have_ended(&mut self) -> bool {
        self.stopping.retain_mut(Process::is_running);
        self.stopping.is_empty()
    }

    /// Ends the stopped processes at once.
    pub(super) fn kill(&mut self) {
        for process in &mut self.stopping {
            process.signal(Signal::KILL);
        }
    }
}
