//! The shell of an episode.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bashkit::{Bash, Error, ExecOptions, ExecResult, LimitExceeded, ShellState};
use tokio::runtime::{Builder, Runtime};

use crate::compressed::Zcat;
use crate::data_tools::{Jq, Yq};
use crate::fenced;
use crate::files::SessionFiles;
use crate::guard::{Guard, Stopped, digits};
use crate::limits::{self, ShellLimits};
use crate::ls::Ls;
use crate::missing::{self, Missing};
use crate::output::Captured;

/// Bytes of a variable that is kept for the next command line.
const KEPT_VALUE: usize = 64 << 10;

/// Bytes of all variables that are kept.
const KEPT_TOTAL: usize = 1 << 20;

/// The exit code of a command line that was stopped because of its time, as of
/// `timeout`.
const TIMED_OUT: i32 = 124;

/// The exit code of a command line that exceeded another limit.
const STOPPED: i32 = 1;

/// The exit code of a command line that is no bash.
const SYNTAX: i32 = 2;

/// A bash that works on the files of a session.
///
/// Each command line is run by a fresh evaluator. The working directory stays
/// from one to the next, and with [`keep_variables`](Self::keep_variables) also
/// variables, functions and aliases. Options (`set -e`), traps and open files do
/// not, and a command line ends when its background jobs have ended.
///
/// The evaluator sees two real folders: the one that it is [at](Self::at), and
/// `/tmp`. Other files of the session, such as the expected results of a grader,
/// cannot be reached.
pub struct Shell {
    home: PathBuf,
    cwd: PathBuf,
    files: Arc<SessionFiles>,
    kept: Option<ShellState>,
    keeps_variables: bool,
    runtime: Option<Runtime>,
}

/// The result of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellOutput {
    /// Standard output and standard error, in the order in which they were
    /// written.
    pub output: String,
    /// The exit code.
    pub exit_code: i32,
    /// Whether the middle of the output is left out, or its end.
    pub truncated: bool,
    /// Whether the command line was stopped after its time.
    pub timed_out: bool,
}

impl Shell {
    /// Returns a shell in a folder, which must exist when the first command
    /// runs. It is also the home directory.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let home = folder.into();
        let mut roots = vec![home.clone()];
        // In a unit test the temporary folder is not the episode's own.
        if cfg!(target_arch = "wasm32") {
            roots.push(PathBuf::from("/tmp"));
        }
        Self {
            cwd: home.clone(),
            files: Arc::new(SessionFiles::new(roots)),
            home,
            kept: None,
            keeps_variables: false,
            runtime: None,
        }
    }

    /// Keeps variables, functions and aliases from one command line to the next.
    /// Values above 64 KiB are not kept.
    pub fn keep_variables(mut self) -> Self {
        self.keeps_variables = true;
        self
    }

    /// Returns the working directory of the next command line.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Runs a command line to its end, or until it exceeds a limit.
    pub fn run(&mut self, command: &str, limits: &ShellLimits) -> ShellOutput {
        if !self.cwd.is_dir() {
            self.cwd.clone_from(&self.home);
            if let Some(kept) = &mut self.kept {
                kept.cwd.clone_from(&self.home);
                let home = self.home.to_string_lossy().into_owned();
                kept.variables.insert("PWD".to_owned(), home);
            }
        }
        self.files.begin();
        let captured = Arc::new(Mutex::new(Captured::new(limits.max_output)));
        let guard = Guard::new(limits);
        let mut bash = self.evaluator(limits, &guard);
        let result = match self.runtime() {
            Ok(_) if digits::are_too_many(command.as_bytes()) => {
                guard.stop(Stopped::Digits);
                Err(Error::Cancelled)
            }
            Ok(runtime) => {
                let sink = Arc::clone(&captured);
                let options = ExecOptions::new().streaming(Box::new(move |stdout, stderr| {
                    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    // One command writes errors first: bash prints its traces so.
                    sink.push(stderr.as_bytes());
                    sink.push(stdout.as_bytes());
                }));
                runtime.block_on(bash.exec_with_options(command, options))
            }
            Err(error) => Err(Error::Io(error)),
        };
        self.keep(&bash);
        drop(bash);
        let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
        let captured = std::mem::replace(&mut *captured, Captured::new(0));
        finish(captured, result, command, guard.stopped())
    }

    fn evaluator(&self, limits: &ShellLimits, guard: &Arc<Guard>) -> Bash {
        let mut builder = Bash::builder()
            .fs(self.files.clone())
            .cwd(&self.cwd)
            .username("agent")
            .hostname("orwd")
            .env("HOME", self.home.to_string_lossy())
            .limits(limits.execution())
            .session_limits(limits::session())
            .memory_limits(limits::memory())
            .builtin_filter(|name| !missing::is_absent(name))
            .command_resolver(Arc::new(Missing))
            .builtin("jq", Box::new(Jq(Arc::clone(guard))))
            .builtin("yq", Box::new(Yq(Arc::clone(guard))))
            .builtin("zcat", Box::new(Zcat))
            .builtin("ls", Box::new(Ls(vec![self.home.clone(), "/tmp".into()])))
            .before_tool(guard.hook());
        for command in fenced::commands(limits) {
            builder = builder.builtin(command.name(), Box::new(command));
        }
        if cfg!(target_arch = "wasm32") {
            builder = builder.env("TMPDIR", "/tmp");
        }
        let mut bash = builder.build();
        guard.watch(bash.cancellation_token());
        if let Some(kept) = &self.kept {
            bash.restore_shell_state(kept);
        }
        bash
    }

    fn runtime(&mut self) -> std::io::Result<&Runtime> {
        if self.runtime.is_none() {
            self.runtime = Some(Builder::new_current_thread().enable_time().build()?);
        }
        self.runtime
            .as_ref()
            .ok_or_else(|| std::io::Error::other("the evaluator cannot start"))
    }

    fn keep(&mut self, bash: &Bash) {
        if !self.keeps_variables {
            self.cwd = bash.shell_state_view().cwd;
            return;
        }
        let mut state = bash.shell_state();
        self.cwd.clone_from(&state.cwd);
        state.traps.clear();
        let mut room = KEPT_TOTAL;
        let large = drop_large(&mut state.variables, &mut room, String::len);
        state.env.retain(|name, _| !large.contains(name));
        drop_large(&mut state.arrays, &mut room, |array| {
            array.values().map(|value| value.len() + 8).sum()
        });
        drop_large(&mut state.assoc_arrays, &mut room, |array| {
            array
                .iter()
                .map(|(key, value)| key.len() + value.len() + 8)
                .sum()
        });
        self.kept = Some(state);
    }
}

/// Removes values that are too large to keep, and returns their names. Goes by the
/// names in order, so that the result does not depend on that of a hash map.
fn drop_large<V>(
    values: &mut HashMap<String, V>,
    room: &mut usize,
    size: impl Fn(&V) -> usize,
) -> Vec<String> {
    let mut sizes: Vec<(String, usize)> = values
        .iter()
        .map(|(name, value)| (name.clone(), size(value)))
        .collect();
    sizes.sort();
    let mut large = Vec::new();
    for (name, size) in sizes {
        if size <= KEPT_VALUE && size <= *room {
            *room -= size;
        } else {
            values.remove(&name);
            large.push(name);
        }
    }
    large
}

fn finish(
    mut captured: Captured,
    result: bashkit::Result<ExecResult>,
    command: &str,
    stopped: Option<Stopped>,
) -> ShellOutput {
    let mut timed_out = false;
    let mut cut = false;
    let exit_code = match result {
        Ok(result) => {
            cut = result.stdout_truncated || result.stderr_truncated;
            result.exit_code
        }
        Err(_) if stopped == Some(Stopped::Nesting) => {
            captured.push_line(
                "bash: stopped: commands are nested too deeply (functions, eval, source, traps)",
            );
            STOPPED
        }
        Err(_) if stopped == Some(Stopped::Digits) => {
            captured.push_line("bash: stopped: a number in braces has too many digits");
            STOPPED
        }
        Err(_) if stopped == Some(Stopped::Work) => {
            timed_out = true;
            captured.push_line(
                "bash: stopped: the command line takes more work than fits into its time limit",
            );
            TIMED_OUT
        }
        Err(error) => {
            if let Some(report) = error.syntax_report("bash: -c", command) {
                captured.push_line(report.trim_end());
                SYNTAX
            } else if let Error::ResourceLimit(
                LimitExceeded::Timeout(limit) | LimitExceeded::ParserTimeout(limit),
            ) = &error
            {
                timed_out = true;
                captured.push_line(&format!(
                    "bash: stopped after {} s, the time limit of a command line",
                    limit.as_secs_f64()
                ));
                TIMED_OUT
            } else {
                captured.push_line(&format!("bash: stopped: {error}"));
                STOPPED
            }
        }
    };
    ShellOutput {
        truncated: cut || captured.is_truncated(),
        output: captured.into_text(),
        exit_code,
        timed_out,
    }
}
