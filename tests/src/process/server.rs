//! `orwd serve` as a child of the test.
//!
//! A [`ServerProcess`] ends with the test that owns it: first by SIGTERM. A
//! server in a `static` is never dropped, so each has a watchdog: a shell that
//! holds the other end of a pipe to the test process and ends the server when
//! that process has ended for any reason.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::artifacts;
use crate::ors::OrsClient;

use super::command::{OrwdCommand, wait};

/// The line with which `orwd serve` announces its address.
const ANNOUNCEMENT: &str = "orwd is listening on ";

/// The limit for a start: the first one compiles every guest.
const START: Duration = Duration::from_secs(180);

/// How long a server may take to end after SIGKILL, or to write a log line.
const EVENT_LIMIT: Duration = Duration::from_secs(15);

/// How long a dropped server may drain before it is killed. Tests of the shutdown
/// itself use [`ServerProcess::wait`].
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// The number of log lines that a failed test prints.
const SHOWN: usize = 200;

/// A running server.
pub struct ServerProcess {
    child: Child,
    watchdog: Child,
    base: String,
    log: ServerLog,
    /// Its state directory, if the test did not choose one.
    state: Option<PathBuf>,
}

/// The output of a server, on both streams.
#[derive(Clone, Default)]
struct ServerLog(Arc<Mutex<String>>);

impl ServerLog {
    fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The command line of a server.
pub struct ServeCommand {
    binary: PathBuf,
    variables: Vec<(&'static str, OsString)>,
    has_own_user: bool,
    flags: Vec<OsString>,
    paths: Vec<OsString>,
}

impl ServeCommand {
    /// Serves these fixtures, which are built first.
    pub fn fixtures(names: &[&str]) -> Self {
        artifacts::components();
        Self {
            binary: artifacts::binary().to_owned(),
            variables: Vec::new(),
            has_own_user: false,
            flags: vec!["--no-build".into()],
            paths: names
                .iter()
                .map(|name| artifacts::fixture(name).into_os_string())
                .collect(),
        }
    }

    /// Serves `examples/workbench`, which is built first.
    pub fn workbench() -> Self {
        Self::path(artifacts::workbench()).flag("--no-build")
    }

    /// Serves a path.
    pub fn path(path: impl Into<OsString>) -> Self {
        Self {
            binary: artifacts::binary().to_owned(),
            variables: Vec::new(),
            has_own_user: false,
            flags: Vec::new(),
            paths: vec![path.into()],
        }
    }

    /// Uses another binary than the one under test.
    pub fn binary(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.binary);
        self
    }

    /// Adds a path.
    pub fn and_path(mut self, path: impl Into<OsString>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Adds a flag with a value.
    pub fn set(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.flags.extend([flag.into(), value.into()]);
        self
    }

    /// Adds a flag without a value.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Serves as a user with this home directory, so that state and cache are
    /// where they are by default.
    pub fn user(mut self, home: &Path) -> Self {
        self.has_own_user = true;
        for (name, folder) in [
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            self = self.env(name, home.join(folder));
        }
        self
    }

    /// Returns the command line, with a port that the system chooses.
    pub fn command(self) -> OrwdCommand {
        self.command_at("127.0.0.1:0")
    }

    /// Returns the command line, with this address.
    pub fn command_at(self, address: &str) -> OrwdCommand {
        self.command_with(address, &fresh_state())
    }

    fn command_with(self, address: &str, state: &Path) -> OrwdCommand {
        let mut arguments: Vec<OsString> = vec!["serve".into()];
        arguments.extend(["--listen".into(), address.into()]);
        if !self.has_own_user && !self.flags.iter().any(|flag| flag == "--state") {
            arguments.extend(["--state".into(), state.into()]);
        }
        if !self.has_own_user && !self.flags.iter().any(|flag| flag == "--cache") {
            let cache = artifacts::target_dir().join("orwd-cache");
            arguments.extend(["--cache".into(), cache.into_os_string()]);
        }
        arguments.extend(self.flags);
        arguments.extend(self.paths);
        let command = OrwdCommand::of_binary(&self.binary, arguments);
        let variables = self.variables.into_iter();
        variables.fold(command, |command, (name, value)| command.env(name, value))
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> ServerProcess {
        self.start_at("127.0.0.1:0")
    }

    /// Starts it at this address and waits until it listens.
    pub fn start_at(self, address: &str) -> ServerProcess {
        let state = fresh_state();
        let command = self.command_with(address, &state).into_command();
        ServerProcess::start(command, Some(state))
    }

    /// Starts it at this address and kills it after this time, listening or not.
    pub fn kill_after(self, address: &str, after: Duration) {
        let mut child = self
            .command_at(address)
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be started");
        std::thread::sleep(after);
        let _ = child.kill();
        child.wait().expect("a child can be waited for");
    }

    /// Starts it from a shell that first runs this command.
    pub fn start_in_shell(self, shell: &str) -> ServerProcess {
        let inner = self.command().into_command();
        let mut outer = Command::new("sh");
        outer.args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")]);
        outer.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        if let Some(folder) = inner.get_current_dir() {
            outer.current_dir(folder);
        }
        ServerProcess::start(outer, None)
    }
}

impl ServerProcess {
    /// Starts a server of the contract's fixtures with default limits.
    pub fn contract() -> Self {
        ServeCommand::fixtures(&artifacts::CONTRACT_FIXTURES).start()
    }

    fn start(mut command: Command, state: Option<PathBuf>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let watchdog = start_watchdog(&child, state.as_deref());
        let log = ServerLog::default();
        let (announce, announced) = mpsc::channel();
        follow(child.stderr.take(), log.clone(), |_| {});
        follow(child.stdout.take(), log.clone(), move |line| {
            if let Some(base) = line.strip_prefix(ANNOUNCEMENT) {
                let _ = announce.send(base.to_owned());
            }
        });
        // The sender is dropped with the child's standard output, so that a
        // failed start is noticed at once.
        match announced.recv_timeout(START) {
            Ok(base) => Self {
                child,
                watchdog,
                base,
                log,
                state,
            },
            Err(_) => {
                let code = wait(&mut child, Duration::from_secs(5));
                panic!(
                    "{command:?} did not start (exit code {code:?}):\n{}",
                    log.text()
                );
            }
        }
    }

    /// Returns its base URL, such as `http://127.0.0.1:40123`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns its host and port.
    pub fn address(&self) -> &str {
        self.base
            .trim_start_matches("http://")
            .trim_start_matches("https://")
    }

    /// Returns a client of it.
    pub fn ors(&self) -> OrsClient {
        OrsClient::at(&self.base)
    }

    /// Returns its output until now.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until its output contains this text: a thread of its own writes the
    /// log.
    #[track_caller]
    pub fn wait_for_log(&self, part: &str) {
        let start = std::time::Instant::now();
        while !self.log().contains(part) {
            assert!(
                start.elapsed() < EVENT_LIMIT,
                "{part:?} is not in the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).expect("the server can be signalled");
    }

    /// Kills it with SIGKILL, as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        wait(&mut self.child, EVENT_LIMIT);
    }

    /// Waits for its end and returns the exit code; panics after the timeout.
    pub fn wait(&mut self, timeout: Duration) -> Option<i32> {
        wait(&mut self.child, timeout)
            .unwrap_or_else(|| panic!("the server did not end within {timeout:?}:\n{}", self.log()))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        if running {
            let _ = kill_process(pid_of(&self.child), Signal::TERM);
            wait(&mut self.child, DRAIN_LIMIT);
        }
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if let Some(state) = &self.state {
            let _ = fs::remove_dir_all(state);
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("--- end of the log of {}\n{}", self.base, last.join("\n"));
        }
    }
}

/// Returns an unused address for a server that is restarted. Its port is outside
/// the ephemeral range: otherwise a client that connects while the server is
/// down could occupy it.
pub fn unused_address() -> String {
    let ports = 15_000..32_000;
    loop {
        let port = rand::random_range(ports.clone());
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Returns a new state directory for a server whose test did not choose one.
fn fresh_state() -> PathBuf {
    let folder = artifacts::target_dir().join("orwd-state");
    folder.join(crate::ors::fresh_id())
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Starts the shell that ends `child` when this process has ended, and removes its
/// state: a server that tests share is never dropped.
fn start_watchdog(child: &Child, state: Option<&Path>) -> Child {
    let script = format!(
        "read -r _; kill -TERM {0}; sleep 5; kill -KILL {0}; test -z \"$1\" || rm -rf \"$1\"",
        child.id()
    );
    Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(state.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started")
}

/// Copies an output to the log, line by line, until it ends.
fn follow(
    pipe: Option<impl Read + Send + 'static>,
    log: ServerLog,
    mut each: impl FnMut(&str) + Send + 'static,
) {
    let pipe = BufReader::new(pipe.expect("the output is a pipe"));
    std::thread::spawn(move || {
        for line in pipe.split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line);
            log.add(&line);
            each(line.trim_end());
        }
    });
}
