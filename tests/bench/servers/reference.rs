//! The reference server as a child: `reference.py` in a virtual environment below
//! the target directory, which is created from `requirements.txt` once for each
//! version of that file. Needs `python3` with its `venv` module and, the first
//! time, a package index.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orwd_tests::artifacts::{target_dir, workspace_dir};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The limit for its end after its input is closed.
const END: Duration = Duration::from_secs(10);

/// The reference server; it ends when this is dropped or this process ends.
pub(crate) struct ReferenceServer {
    child: Child,
    base: String,
}

impl ReferenceServer {
    /// Starts it. Connections wait until it accepts them.
    pub(crate) fn start() -> Result<Self, String> {
        let mut child = Command::new(python()?)
            .arg("-B")
            .arg(folder().join("reference.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the reference server: {error}"))?;
        let mut base = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut base);
        }
        let started = Self {
            child,
            base: base.trim().to_owned(),
        };
        match started.base.is_empty() {
            true => Err("the reference server did not start".to_owned()),
            false => Ok(started),
        }
    }

    /// Returns its base URL.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ReferenceServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let start = std::time::Instant::now();
        while start.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    workspace_dir().join("tests/bench")
}

/// Returns the Python of the virtual environment.
fn python() -> Result<PathBuf, String> {
    let folder = target_dir().join("orwd-reference");
    let file = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(file)?;
    // Held until the end: two benchmarks may start at the same time.
    let lock = File::create(folder.join("lock")).map_err(file)?;
    lock.lock().map_err(file)?;
    let python = folder.join("venv/bin/python");
    // Written last, so that an incomplete environment is created again.
    let created_from = folder.join("created-from");
    let is_current = fs::read_to_string(&created_from).is_ok_and(|text| text == REQUIREMENTS);
    if !(is_current && python.is_file()) {
        let _ = fs::remove_file(&created_from);
        eprintln!("installing the reference server into {}", folder.display());
        create(&folder, &python)?;
        fs::write(&created_from, REQUIREMENTS).map_err(file)?;
    }
    Ok(python)
}

fn create(at: &Path, python: &Path) -> Result<(), String> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(at.join("venv"));
    run(
        &mut venv,
        "the reference server needs python3 with its venv module (Debian: python3-venv)",
    )?;
    let mut install = Command::new(python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(folder().join("requirements.txt"));
    run(
        &mut install,
        "the reference server needs a Python package index once",
    )
}

fn run(command: &mut Command, need: &str) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{need}: {command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{need}: {command:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
