//! Builds what a test needs before it runs: the binary and the guests, each
//! once per test process. Cargo finds out whether anything has to be rebuilt,
//! and its lock keeps several test processes apart.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

/// The environments of the contract's fixtures, in the order in which they
/// are served; the first is the default environment.
pub const CONTRACT_FIXTURES: [&str; 8] = [
    "alpha", "termarg", "termnone", "chat", "slow", "broken", "indexed", "kit",
];

/// Returns the workspace's directory.
pub fn workspace_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is a directory of the workspace")
}

/// Returns the target directory of this program, so that nothing is built twice.
pub fn target_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let program = std::env::current_exe().expect("a process knows its file");
        // TARGET/PROFILE/deps/TEST, or TARGET/PROFILE/BINARY
        let directory = program.parent().expect("a file has a directory");
        let is_test = directory.ends_with("deps");
        directory
            .ancestors()
            .nth(if is_test { 2 } else { 1 })
            .expect("programs lie two or three directories deep")
            .to_owned()
    })
}

/// The target that environments are built for.
const TARGET: &str = "wasm32-wasip2";

/// Returns the `orwd` binary: the one that `ORWD_BIN` names, else a build in
/// the profile of the test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("ORWD_BIN") {
            return PathBuf::from(named);
        }
        let (flags, profile) = profile();
        cargo(
            &[&["build", "--package", "orwd", "--bin", "orwd"], flags].concat(),
            &[],
        );
        built(profile)
    })
}

/// Returns an `orwd` of another build than the one under test, if there is one:
/// the binary that `ORWD_OTHER_BIN` names, else, in a release build with the
/// feature `soak`, a debug build made now. Without either there is none, since
/// a second build of the host takes minutes.
pub fn other_binary() -> Option<&'static Path> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("ORWD_OTHER_BIN") {
            return Some(PathBuf::from(named));
        }
        if cfg!(debug_assertions) || !cfg!(feature = "soak") {
            return None;
        }
        cargo(&["build", "--package", "orwd", "--bin", "orwd"], &[]);
        Some(built("debug"))
    });
    found.as_deref()
}

/// Returns where cargo puts the binary of this profile.
fn built(profile: &str) -> PathBuf {
    let name = format!("orwd{}", std::env::consts::EXE_SUFFIX);
    target_dir().join(profile).join(name)
}

/// Returns the profile of this program: cargo's flags for it, and its directory.
pub fn profile() -> (&'static [&'static str], &'static str) {
    if cfg!(debug_assertions) {
        (&[], "debug")
    } else {
        (&["--release"], "release")
    }
}

/// Returns the directory of a fixture environment.
pub fn fixture(name: &str) -> PathBuf {
    workspace_dir().join("tests/fixtures").join(name)
}

/// Builds every fixture, so that all can be served with `--no-build`. Returns
/// the component files by the names of the fixtures' directories.
pub fn components() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let packages = fixture_packages();
        add_target();
        let mut arguments = vec!["build", "--profile", "component"];
        arguments.extend(["--target", TARGET]);
        for package in packages.keys() {
            arguments.extend(["--package", package]);
        }
        cargo(&arguments, &[]);
        let directory = target_dir().join(TARGET).join("component");
        packages
            .into_iter()
            .map(|(package, name)| {
                let file = directory.join(format!("{}.wasm", package.replace('-', "_")));
                assert!(file.is_file(), "{} was not built", file.display());
                (name, file)
            })
            .collect()
    })
}

/// Builds `examples/workbench`, the environment with a shell, and returns its
/// folder, which can be served with `--no-build`. It is a workspace of its own and
/// takes minutes the first time.
pub fn workbench() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        add_target();
        let folder = workspace_dir().join("examples/workbench");
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.to_str().expect("a UTF-8 path");
        let arguments = ["build", "--profile", "component", "--target", TARGET];
        cargo(
            &[&arguments[..], &["--manifest-path", manifest]].concat(),
            &[],
        );
        folder
    })
}

/// Installs the standard library of [`TARGET`] with rustup if it is missing.
fn add_target() {
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(workspace_dir())
        .output()
        .expect("rustc can be started");
    let libraries = String::from_utf8(libraries.stdout).expect("a UTF-8 path");
    if Path::new(libraries.trim()).is_dir() {
        return;
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(workspace_dir())
        .status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "Rust's standard library for {TARGET} is missing; run: rustup target add {TARGET}"
    );
}

/// Returns the component of one fixture.
pub fn component(name: &str) -> &'static Path {
    components()
        .get(name)
        .unwrap_or_else(|| panic!("there is no fixture {name}"))
}

/// Returns the packages below `tests/fixtures`, each with its directory's name.
fn fixture_packages() -> BTreeMap<String, String> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"], &[]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let directory = manifest.parent().expect("a manifest has a directory");
        if directory.parent() == Some(&workspace_dir().join("tests/fixtures")) {
            let name = directory.file_name().and_then(|name| name.to_str());
            packages.insert(
                package["name"].as_str().expect("a name").to_owned(),
                name.expect("a UTF-8 name").to_owned(),
            );
        }
    }
    assert!(!packages.is_empty(), "no fixture is a workspace member");
    packages
}

/// Runs cargo in the workspace with these variables, one run at a time, and
/// returns its standard output.
pub fn cargo(arguments: &[&str], variables: &[(&str, &OsStr)]) -> String {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock();
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    // Cargo describes this package to its tests. Build scripts that read such a
    // variable would run again, and with them everything above would be compiled.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command
        .args(arguments)
        .env("CARGO_TARGET_DIR", target_dir())
        .envs(variables.iter().copied())
        .current_dir(workspace_dir())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
