//! Runs the `orwd` binary as an operator would, to its end.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::artifacts;
use crate::later::Later;

/// A command line of `orwd`.
pub struct Orwd {
    command: Command,
    input: Vec<u8>,
    patience: Duration,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Orwd {
    /// `orwd` with these arguments.
    pub fn new<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::of(artifacts::binary(), arguments)
    }

    /// Another `orwd` than the one under test with these arguments.
    pub fn of<S: AsRef<std::ffi::OsStr>>(
        binary: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(artifacts::workspace())
            // What it builds lands where the tests' own guests are.
            .env("CARGO_TARGET_DIR", artifacts::target_dir())
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG");
        Self {
            command,
            input: Vec::new(),
            patience: Duration::from_secs(60),
        }
    }

    /// Runs it in this folder.
    pub fn inside(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it this on standard input.
    pub fn input(mut self, text: &str) -> Self {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// Allows more than the usual minute.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end, which must come in time.
    pub fn run(mut self) -> Ended {
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
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = std::mem::take(&mut self.input);
        // A command that reads nothing may be gone before it is all written.
        let writer = Later::run(move || drop(stdin.write_all(&input)));
        let code = wait(&mut child, self.patience);
        writer.get();
        let ended = Ended {
            code: code.flatten(),
            stdout: stdout.get(),
            stderr: stderr.get(),
        };
        assert!(
            code.is_some(),
            "{shown} did not end within {:?}: {ended:?}",
            self.patience
        );
        ended
    }

    /// The command itself, for whoever starts it in another way.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }
}

/// Waits for the end and gives the exit code; kills the process and gives
/// none when it takes too long.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status.code());
        }
        if start.elapsed() > patience {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> Later<String> {
    let mut pipe = pipe.expect("the output is a pipe");
    Later::run(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Ended {
    /// It went well; gives its standard output.
    #[track_caller]
    pub fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self}");
        &self.stdout
    }

    /// It refused, in a message that holds each of these and is not a dump.
    #[track_caller]
    pub fn refuses(&self, parts: &[&str]) {
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

impl std::fmt::Display for Ended {
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
