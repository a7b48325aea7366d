//! Runs the `orwd` binary to its end, as an operator does.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::artifacts;
use crate::background::BackgroundTask;

/// A command line of `orwd`.
pub struct OrwdCommand {
    command: Command,
    stdin: Vec<u8>,
    timeout: Duration,
}

/// The exit code and output of a command.
#[derive(Clone, Debug)]
pub struct CommandResult {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl OrwdCommand {
    /// Creates a command of the binary under test.
    pub fn new<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::of_binary(artifacts::binary(), arguments)
    }

    /// Creates a command of another binary.
    pub fn of_binary<S: AsRef<std::ffi::OsStr>>(
        binary: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(artifacts::workspace_dir())
            // Guests are built into the tests' target directory.
            .env("CARGO_TARGET_DIR", artifacts::target_dir())
            // Where `orwd new` notes what it created.
            .env(
                "XDG_CONFIG_HOME",
                artifacts::target_dir().join("orwd-config"),
            )
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG");
        Self {
            command,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Sets its working directory.
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets its standard input.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    /// Replaces the default timeout of one minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end; panics after the timeout.
    pub fn run(mut self) -> CommandResult {
        let shown = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        let input = std::mem::take(&mut self.stdin);
        // A command that reads no input may end before all is written.
        let writer = BackgroundTask::spawn(move || drop(pipe.write_all(&input)));
        let code = wait(&mut child, self.timeout);
        writer.join();
        let ended = CommandResult {
            code: code.flatten(),
            stdout: stdout.join(),
            stderr: stderr.join(),
        };
        assert!(
            code.is_some(),
            "{shown} did not end within {:?}: {ended:?}",
            self.timeout
        );
        ended
    }

    /// Returns the command, to start it in another way.
    pub(super) fn into_command(self) -> Command {
        self.command
    }
}

/// Waits for the end and returns the exit code; after the timeout, kills the
/// process and returns none.
pub(super) fn wait(child: &mut Child, timeout: Duration) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status.code());
        }
        if start.elapsed() > timeout {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> BackgroundTask<String> {
    let mut pipe = pipe.expect("the output is a pipe");
    BackgroundTask::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl CommandResult {
    /// Asserts that it succeeded, and returns its standard output.
    #[track_caller]
    pub fn expect_success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self}");
        &self.stdout
    }

    /// Asserts that it failed with a message that contains each of these parts,
    /// and without a panic.
    #[track_caller]
    pub fn expect_failure(&self, parts: &[&str]) {
        assert!(self.code.is_some_and(|code| code != 0), "{self}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in: {self}");
        }
        for noise in ["panicked at", "RUST_BACKTRACE", "is listening on"] {
            let all = format!("{}{}", self.stdout, self.stderr);
            assert!(!all.contains(noise), "{noise:?} in: {self}");
        }
    }
}

impl std::fmt::Display for CommandResult {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            out,
            "exit code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}
