//! What has to be built before a test can run: the binary and the guests,
//! each once for a test process. Cargo itself finds out that nothing is to be
//! done, and its lock keeps several test processes apart.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

/// The environments of the contract's fixtures, in the order in which they
/// are served; the first is the default one.
pub const CONTRACT: [&str; 8] = [
    "alpha", "termarg", "termnone", "chat", "slow", "broken", "indexed", "kit",
];

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is a folder of the workspace")
}

/// The folder that this program was built into, so that nothing is built twice.
pub fn target_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let program = std::env::current_exe().expect("a process knows its file");
        // TARGET/PROFILE/deps/TEST, or TARGET/PROFILE/BINARY
        let folder = program.parent().expect("a file has a folder");
        let is_test = folder.ends_with("deps");
        folder
            .ancestors()
            .nth(if is_test { 2 } else { 1 })
            .expect("programs lie two or three folders deep")
            .to_owned()
    })
}

/// The `orwd` binary: the one that `ORWD_BIN` names, else built now, in the
/// profile of the test.
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
        target_dir()
            .join(profile)
            .join(format!("orwd{}", std::env::consts::EXE_SUFFIX))
    })
}

/// An `orwd` of the other profile than the test's: the one that
/// `ORWD_OTHER_BIN` names; else, where the test is a release build, a debug
/// build made now. A release build is not made for the sake of a debug one,
/// since it takes many minutes.
pub fn other_binary() -> Option<&'static Path> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("ORWD_OTHER_BIN") {
            return Some(PathBuf::from(named));
        }
        if cfg!(debug_assertions) {
            return None;
        }
        cargo(&["build", "--package", "orwd", "--bin", "orwd"], &[]);
        let name = format!("orwd{}", std::env::consts::EXE_SUFFIX);
        Some(target_dir().join("debug").join(name))
    });
    found.as_deref()
}

/// The profile of this program: cargo's flags for it, and its folder.
pub fn profile() -> (&'static [&'static str], &'static str) {
    if cfg!(debug_assertions) {
        (&[], "debug")
    } else {
        (&["--release"], "release")
    }
}

/// The folder of a fixture environment.
pub fn fixture(name: &str) -> PathBuf {
    workspace().join("tests/fixtures").join(name)
}

/// Builds every fixture, so that they can be served with `--no-build`, and
/// gives the file of each component by the name of its folder.
pub fn components() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let packages = fixture_packages();
        let mut arguments = vec!["build", "--profile", "component"];
        arguments.extend(["--target", "wasm32-wasip2"]);
        for package in packages.keys() {
            arguments.extend(["--package", package]);
        }
        cargo(&arguments, &[]);
        let folder = target_dir().join("wasm32-wasip2/component");
        packages
            .into_iter()
            .map(|(package, name)| {
                let file = folder.join(format!("{}.wasm", package.replace('-', "_")));
                assert!(file.is_file(), "{} was not built", file.display());
                (name, file)
            })
            .collect()
    })
}

/// The component of one fixture.
pub fn component(name: &str) -> &'static Path {
    components()
        .get(name)
        .unwrap_or_else(|| panic!("there is no fixture {name}"))
}

/// The packages below `tests/fixtures`, each with the name of its folder.
fn fixture_packages() -> BTreeMap<String, String> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"], &[]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder = manifest.parent().expect("a manifest has a folder");
        if folder.parent() == Some(&workspace().join("tests/fixtures")) {
            let name = folder.file_name().and_then(|name| name.to_str());
            packages.insert(
                package["name"].as_str().expect("a name").to_owned(),
                name.expect("a UTF-8 name").to_owned(),
            );
        }
    }
    assert!(!packages.is_empty(), "no fixture is a workspace member");
    packages
}

/// Runs cargo in the workspace with these variables, one at a time; gives what
/// it wrote.
pub fn cargo(arguments: &[&str], variables: &[(&str, &OsStr)]) -> String {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(program)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target_dir())
        .envs(variables.iter().copied())
        .current_dir(workspace())
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
