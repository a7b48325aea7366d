//! One shell for several toolsets of an episode.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use orwd_sdk_shell::{Shell, ShellLimits, ShellOutput};
use serde_json::json;

use crate::Output;

/// The longest time of a command line. It is below the CPU time of a call, so that
/// the command line ends and not the session.
const LONGEST: Duration = Duration::from_secs(20);

/// A shell that the tools of an episode share, so that all have one working
/// directory. Clones are the same shell.
#[derive(Clone)]
pub struct SharedShell {
    shell: Rc<RefCell<Shell>>,
    folder: PathBuf,
    limits: ShellLimits,
}

impl SharedShell {
    /// Returns a shell in a folder that keeps its variables.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let shell = Shell::at(&folder).keep_variables();
        Self::new(shell, folder)
    }

    /// Returns a shell in a folder whose command lines begin without the variables,
    /// functions and aliases of earlier ones. The working directory stays.
    pub fn fresh(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let shell = Shell::at(&folder);
        Self::new(shell, folder)
    }

    fn new(shell: Shell, folder: PathBuf) -> Self {
        Self {
            shell: Rc::new(RefCell::new(shell)),
            folder,
            limits: ShellLimits::default(),
        }
    }

    /// Sets the limits of command lines whose caller sets none.
    pub fn limits(mut self, limits: ShellLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the folder in which the shell began.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command line, for at most this number of seconds.
    pub fn run(&self, command: &str, seconds: Option<f64>) -> ShellOutput {
        let mut limits = self.limits;
        // A number that is no duration, such as a negative one, is the default.
        let wanted = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(wanted) = wanted {
            limits.timeout = wanted.min(LONGEST);
        }
        self.shell.borrow_mut().run(command, &limits)
    }

    /// Runs a command line and returns its output as agents know it: the text, then
    /// the exit code.
    pub fn output(&self, command: &str, seconds: Option<f64>) -> Output {
        let ran = self.run(command.trim(), seconds);
        let mut text = format!("{}\n\n(exit {})", ran.output, ran.exit_code);
        if let Some(hint) = hint(&ran) {
            text.push_str("\n\n[");
            text.push_str(hint);
            text.push(']');
        }
        Output::text(text).metadata(json!({
            "output": ran.output,
            "exit_code": ran.exit_code,
            "truncated": ran.truncated,
            "timed_out": ran.timed_out,
        }))
    }
}

/// Returns what an agent should know about a result, beside the result.
fn hint(ran: &ShellOutput) -> Option<&'static str> {
    match ran {
        ShellOutput {
            timed_out: true, ..
        } => Some(
            "the command hit its time limit and was stopped, with its background jobs; files keep \
             what it wrote",
        ),
        ShellOutput { exit_code: 127, .. } => Some(
            "this shell has no processes and no network, so programs such as python, git, make or \
             compilers cannot run; `compgen -c` lists the commands that it has",
        ),
        ShellOutput {
            truncated: true, ..
        } => Some("the output exceeded the limit, and a part of it is left out"),
        _ => None,
    }
}
