//! The published server with the same environments, for comparison.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use orwd_tests::artifacts::{target_dir, workspace_dir};
use orwd_tests::background::wait_until;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::OrsClient;
use orwd_tests::process::unused_address;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The interpreters that are tried, the one nearest to the component's first.
const INTERPRETERS: [&str; 5] = [
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3",
];

/// A running server. Its standard input ends it.
pub(crate) struct NativeServer {
    child: Child,
    base: String,
}

impl NativeServer {
    /// Serves a module: the main part of `FILE.py`, or `FILE.py:LIST`.
    pub(crate) fn start(module: &str) -> Self {
        let address = unused_address();
        let port = address.rsplit_once(':').expect("an address has a port").1;
        let child = Command::new(python())
            .arg("-B")
            .arg(scripts().join("native.py"))
            .args([module, port])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the interpreter of the virtual environment can be started");
        let base = format!("http://{address}");
        let mut server = Self { child, base };
        let health = HttpRequest::get("/health");
        let client = server.ors();
        wait_until(
            "the published server answers",
            Duration::from_secs(300),
            || {
                let ended = server.child.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "the published server ended: {ended:?}");
                let answer = client.client().try_fetch(&health);
                answer.is_ok_and(|answer| answer.status() == 200)
            },
        );
        server
    }

    /// Returns a client of it.
    pub(crate) fn ors(&self) -> OrsClient {
        OrsClient::at(&self.base)
    }
}

impl Drop for NativeServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the unit tests of the Python package.
#[test]
fn the_unit_tests_of_the_python_package_pass() {
    let package = workspace_dir().join("guest-sdk/python");
    let paths = [package.join("src"), package.join("src/orwd_build/guest")];
    let output = Command::new(python())
        .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
        .current_dir(&package)
        .env("PYTHONPATH", std::env::join_paths(paths).expect("paths"))
        .output()
        .expect("the interpreter can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("Ran 0 tests"), "{said}");
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Returns the interpreter of the virtual environment, which is made once for each
/// version of the requirements.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = target_dir().join("orwd-python-native");
        fs::create_dir_all(&folder).expect("the target directory can be written to");
        let lock = File::create(folder.join("lock")).expect("a lock file can be created");
        lock.lock().expect("a file can be locked");
        let python = folder.join("venv/bin/python");
        let created_from = folder.join("created-from");
        let is_current = fs::read_to_string(&created_from).is_ok_and(|text| text == REQUIREMENTS);
        if !(is_current && python.is_file()) {
            let _ = fs::remove_file(&created_from);
            create(&folder.join("venv"), &python);
            fs::write(&created_from, REQUIREMENTS).expect("the environment can be marked");
        }
        python
    })
}

fn create(venv: &Path, python: &Path) {
    let made = INTERPRETERS.iter().any(|interpreter| {
        let mut command = Command::new(interpreter);
        command.args(["-m", "venv", "--clear"]).arg(venv);
        command.output().is_ok_and(|output| output.status.success())
    });
    assert!(
        made,
        "these tests need python3 with its venv module (Debian: python3-venv)"
    );
    let mut install = Command::new(python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(scripts().join("requirements.txt"));
    let output = install.output().expect("pip can be started");
    assert!(
        output.status.success(),
        "the published package could not be installed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
