//! `orwd serve` as a child of the test.
//!
//! A [`Server`] ends with the test that owns it, in the polite way first. A
//! server kept in a `static` is never dropped, so each has a keeper: a shell
//! that holds the other end of a pipe to the test process and ends the server
//! when that process is gone, however it went.

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
use crate::command::{Orwd, wait};
use crate::ors::Ors;

/// What `orwd serve` announces its address with.
const ANNOUNCEMENT: &str = "orwd is listening on ";

/// How long it may take to start: the first start compiles every guest.
const START: Duration = Duration::from_secs(180);

/// How long a polite end may take before the child is killed.
const END: Duration = Duration::from_secs(15);

/// How many lines of its log a failed test shows.
const SHOWN: usize = 200;

/// A server that is running.
pub struct Server {
    child: Child,
    keeper: Child,
    base: String,
    log: Log,
    /// Where it keeps its sessions, if the test has no say in it.
    state: Option<PathBuf>,
}

/// What a server wrote, on both of its outputs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
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
pub struct Serve {
    binary: PathBuf,
    flags: Vec<OsString>,
    paths: Vec<OsString>,
}

impl Serve {
    /// The fixtures of these names, which are built before the start.
    pub fn fixtures(names: &[&str]) -> Self {
        artifacts::components();
        Self {
            binary: artifacts::binary().to_owned(),
            flags: vec!["--no-build".into()],
            paths: names
                .iter()
                .map(|name| artifacts::fixture(name).into_os_string())
                .collect(),
        }
    }

    /// Any path.
    pub fn path(path: impl Into<OsString>) -> Self {
        Self {
            binary: artifacts::binary().to_owned(),
            flags: Vec::new(),
            paths: vec![path.into()],
        }
    }

    /// By another binary than the one under test.
    pub fn by(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.binary);
        self
    }

    /// One more path.
    pub fn and(mut self, path: impl Into<OsString>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// A flag with its value.
    pub fn set(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.flags.extend([flag.into(), value.into()]);
        self
    }

    /// A flag without a value.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// The command line, with a port of the system's choice.
    pub fn command(self) -> Orwd {
        self.command_at("127.0.0.1:0")
    }

    /// The command line, with this address.
    pub fn command_at(self, address: &str) -> Orwd {
        self.command_with(address, &fresh_state())
    }

    fn command_with(self, address: &str, state: &Path) -> Orwd {
        let mut arguments: Vec<OsString> = vec!["serve".into()];
        arguments.extend(["--listen".into(), address.into()]);
        if !self.flags.iter().any(|flag| flag == "--state") {
            arguments.extend(["--state".into(), state.into()]);
        }
        if !self.flags.iter().any(|flag| flag == "--cache") {
            let cache = artifacts::target_dir().join("orwd-cache");
            arguments.extend(["--cache".into(), cache.into_os_string()]);
        }
        arguments.extend(self.flags);
        arguments.extend(self.paths);
        Orwd::of(&self.binary, arguments)
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Server {
        self.start_at("127.0.0.1:0")
    }

    /// Starts it at this address and waits until it listens.
    pub fn start_at(self, address: &str) -> Server {
        let state = fresh_state();
        let mut server = Server::start(self.command_with(address, &state).into_command());
        server.state = Some(state);
        server
    }

    /// Starts it at this address and kills it after this time, whether it is
    /// up by then or not.
    pub fn cut_short(self, address: &str, after: Duration) {
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

    /// Starts it by a shell that first says this.
    pub fn start_after(self, shell: &str) -> Server {
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
        Server::start(outer)
    }
}

impl Server {
    /// All fixtures of the contract, with the defaults of every limit.
    pub fn contract() -> Self {
        Serve::fixtures(&artifacts::CONTRACT).start()
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let keeper = keeper_of(&child);
        let log = Log::default();
        let (announce, announced) = mpsc::channel();
        follow(child.stderr.take(), log.clone(), |_| {});
        follow(child.stdout.take(), log.clone(), move |line| {
            if let Some(base) = line.strip_prefix(ANNOUNCEMENT) {
                let _ = announce.send(base.to_owned());
            }
        });
        // The sender goes with the child's standard output, so that a start
        // that fails is seen at once.
        match announced.recv_timeout(START) {
            Ok(base) => Self {
                child,
                keeper,
                base,
                log,
                state: None,
            },
            Err(_) => {
                let code = wait(&mut child, Duration::from_secs(5));
                panic!(
                    "{command:?} did not come up (exit code {code:?}):\n{}",
                    log.text()
                );
            }
        }
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same as host and port.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A client of it.
    pub fn ors(&self) -> Ors {
        Ors::at(&self.base)
    }

    /// What it wrote until now.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until it has written this: a log is written by a thread of its own.
    #[track_caller]
    pub fn logs(&self, part: &str) {
        let begun = std::time::Instant::now();
        while !self.log().contains(part) {
            assert!(
                begun.elapsed() < END,
                "{part:?} is not in the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).expect("the server can be signalled");
    }

    /// Kills it on the spot, as a lack of memory would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        wait(&mut self.child, END);
    }

    /// Waits for its end and gives the exit code; fails if it takes longer.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        wait(&mut self.child, patience).unwrap_or_else(|| {
            panic!(
                "the server did not end within {patience:?}:\n{}",
                self.log()
            )
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        if running {
            let _ = kill_process(pid_of(&self.child), Signal::TERM);
            wait(&mut self.child, END);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
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

/// An address of this machine for a server that goes away and comes back. Its
/// port is none that the system gives to connections: clients that knock while
/// the server is away would take it from it.
pub fn quiet_address() -> String {
    let ports = 15_000..32_000;
    loop {
        let port = rand::random_range(ports.clone());
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Where a server keeps its sessions whose test has no say in it.
fn fresh_state() -> PathBuf {
    let folder = artifacts::target_dir().join("orwd-state");
    folder.join(crate::ors::fresh_id())
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Starts the shell that ends `child` when this process is gone.
fn keeper_of(child: &Child) -> Child {
    let script = format!(
        "read -r _; kill -TERM {0}; sleep 5; kill -KILL {0}",
        child.id()
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started")
}

/// Copies an output to the log, line by line, until it ends.
fn follow(
    pipe: Option<impl Read + Send + 'static>,
    log: Log,
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
