//! The tool environment: a virtual environment with what turns Python into a
//! component.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use orwd_model::Digest;

use crate::embedded::{self, short};
use crate::error::PythonBuildError;
use crate::install::complete;
use crate::process;
use crate::progress::PythonProgress;

/// The pinned packages, in the embedded package.
const TOOLS: &str = "src/orwd_build/tools.txt";

/// A program that says whether the interpreter is new enough.
const IS_NEW_ENOUGH: &str = "import sys; sys.exit(sys.version_info < (3, 10))";

/// Returns the interpreter of the tool environment. Makes the environment on
/// first use.
pub(crate) fn interpreter(
    cache: &Path,
    progress: PythonProgress<'_>,
) -> Result<PathBuf, PythonBuildError> {
    let pinned = embedded::file(TOOLS);
    let folder = cache.join(format!("tools-{}", short(&Digest::of(pinned))));
    let interpreter = |folder: &Path| folder.join("venv/bin/python");
    // An interpreter of the system that was removed leaves a link to nothing.
    if folder.is_dir() && !interpreter(&folder).exists() {
        std::fs::remove_dir_all(&folder).map_err(PythonBuildError::file(&folder))?;
    }
    if folder.is_dir() {
        return Ok(interpreter(&folder));
    }
    progress(&format!(
        "making the tool environment for Python in {}, once",
        folder.display()
    ));
    complete(&folder, |draft| {
        let venv = draft.join("venv");
        create(&venv)?;
        let list = draft.join("tools.txt");
        std::fs::write(&list, pinned).map_err(PythonBuildError::file(&list))?;
        progress("installing the pinned tools: componentize-py");
        install(&interpreter(draft), &list)
    })?;
    Ok(interpreter(&folder))
}

/// Creates a virtual environment, by uv if it is installed.
fn create(venv: &Path) -> Result<(), PythonBuildError> {
    let mut uv = process::command("uv");
    uv.args(["venv", "--quiet", "--seed", "--python", ">=3.10"])
        .arg(venv);
    match process::output(&mut uv) {
        Err(PythonBuildError::NotRun { reason, .. }) if is_absent(&reason) => {}
        done => return check_created("uv venv", done?),
    }
    let mut python = python()?;
    python.args(["-m", "venv", "--clear"]).arg(venv);
    check_created("python3 -m venv", process::output(&mut python)?)
}

/// Returns an interpreter of the system that is new enough.
fn python() -> Result<Command, PythonBuildError> {
    for name in [
        "python3",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
        "python3.10",
        "python",
    ] {
        let mut check = process::command(name);
        check.args(["-c", IS_NEW_ENOUGH]);
        if process::output(&mut check).is_ok_and(|done| done.status.success()) {
            return Ok(process::command(name));
        }
    }
    Err(PythonBuildError::NoPython)
}

fn check_created(program: &str, done: std::process::Output) -> Result<(), PythonBuildError> {
    if done.status.success() {
        return Ok(());
    }
    let mut output = String::from_utf8_lossy(&done.stdout).into_owned();
    output.push_str(&String::from_utf8_lossy(&done.stderr));
    Err(PythonBuildError::NoVenv {
        program: program.to_owned(),
        status: done.status.to_string(),
        output: process::last_lines(&output),
    })
}

fn install(interpreter: &Path, list: &Path) -> Result<(), PythonBuildError> {
    let mut pip = process::command(interpreter);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ])
    .args(["--only-binary=:all:", "--require-hashes", "--no-deps", "-r"])
    .arg(list);
    let done = process::output(&mut pip)?;
    if done.status.success() {
        return Ok(());
    }
    Err(PythonBuildError::NoTools {
        status: done.status.to_string(),
        output: process::last_lines(&String::from_utf8_lossy(&done.stderr)),
    })
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
