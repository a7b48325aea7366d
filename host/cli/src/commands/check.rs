//! `orwd check`: tells what of a Python environment will not work, without running
//! any of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Args;

use crate::console::{CommandError, CommandStatus, terminal};

/// The checker. It needs nothing but Python's standard library.
const CHECKER: [(&str, &str); 9] = [
    (
        "orwd_build/check.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/check.py"),
    ),
    (
        "orwd_build/checks/__init__.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/__init__.py"),
    ),
    (
        "orwd_build/checks/built.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/built.py"),
    ),
    (
        "orwd_build/checks/files.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/files.py"),
    ),
    (
        "orwd_build/checks/names.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/names.py"),
    ),
    (
        "orwd_build/checks/network.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/network.py"),
    ),
    (
        "orwd_build/checks/project.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/project.py"),
    ),
    (
        "orwd_build/checks/rules.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/rules.py"),
    ),
    (
        "orwd_build/checks/scan.py",
        include_str!("../../../../guest-sdk/python/src/orwd_build/checks/scan.py"),
    ),
];

/// Starts the checker in the folder that is its first argument. Neither variables
/// nor the working directory decide which modules are imported.
const START: &str = "import sys\n\
    if sys.version_info < (3, 10): sys.exit(3)\n\
    sys.path.insert(0, sys.argv.pop(1))\n\
    from orwd_build.check import main\n\
    sys.exit(main())\n";

/// Exit code of the checker: the environment cannot run.
const UNSUITABLE: i32 = 1;

/// Exit code of [`START`]: the interpreter is too old.
const OLD: i32 = 3;

/// Check what of a Python environment will not work, without running it
///
/// Reads the environment's module and those of its folder that it imports. Lists
/// imports, calls and files that will not work in a session, each with its line, the
/// reason and what to do instead. Packages are judged by their names. Those with
/// native code that work are listed with what differs from other machines.
///
/// The exit code is 0 if nothing was found that would not work, and 1 otherwise;
/// warnings do not count. Requires Python 3.10 or newer on this machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd check env.py
  orwd check my-env --data /srv/tables
  orwd check my-env --json")]
pub(crate) struct Check {
    /// A Python module, or a folder with env.py, server.py or main.py
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,

    /// Data directory, in place of `data` in orwd.toml
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let folder = tempfile::Builder::new().prefix("orwd-check-").tempdir()?;
        for (name, text) in CHECKER {
            let path = folder.path().join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        let done = self.check(folder.path())?;
        let printed = String::from_utf8_lossy(&done.stdout);
        match done.status.code() {
            Some(0) => {
                terminal::print(&printed)?;
                Ok(CommandStatus::Success)
            }
            Some(UNSUITABLE) if !printed.is_empty() => {
                terminal::print(&printed)?;
                Ok(CommandStatus::Unsuitable)
            }
            Some(OLD) => Err(CommandError::new(
                "python3 is older than 3.10; install a newer Python",
            )),
            _ => {
                let errors = String::from_utf8_lossy(&done.stderr);
                let message = errors.trim().trim_start_matches("error: ");
                Err(CommandError::new(message))
            }
        }
    }

    /// Runs the checker with the first interpreter that is found.
    fn check(&self, folder: &Path) -> Result<Output, CommandError> {
        for interpreter in ["python3", "python"] {
            let mut command = Command::new(interpreter);
            command.args(["-I", "-B", "-X", "utf8", "-c", START]);
            command.arg(folder).stdin(Stdio::null());
            if let Some(data) = &self.data {
                command.arg("--data").arg(data);
            }
            if self.json {
                command.arg("--json");
            }
            command.arg("--").arg(&self.path);
            match command.output() {
                Ok(done) => return Ok(done),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(CommandError::new(format!(
                        "cannot run {interpreter}: {error}"
                    )));
                }
            }
        }
        Err(CommandError::new(
            "checking a Python environment requires Python 3.10 or newer; install it and try again",
        ))
    }
}
