//! The pages of the platform in a real browser.
//!
//! `walk.mjs` drives a headless Chromium through them as people use them. It,
//! Playwright and axe come from npm, at the versions of `package-lock.json`, into
//! the target directory at the first use. Screenshots of every page in light, in
//! dark and at the width of a phone are left in `target/orwd-web/screenshots`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use orwd_tests::artifacts::{binary, component, target_dir};
use orwd_tests::requirement::skip;
use orwd_tests::test_dir::TestDir;

const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("package.json")),
    ("package-lock.json", include_str!("package-lock.json")),
    ("walk.mjs", include_str!("walk.mjs")),
    ("browser.mjs", include_str!("browser.mjs")),
    ("platform.mjs", include_str!("platform.mjs")),
];

#[test]
fn people_use_the_pages() {
    for program in ["node", "npm", "git"] {
        let found = Command::new(program).arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return skip(
                &format!("there is no {program}"),
                "install Node.js 20 or newer with npm, and git (Debian: nodejs npm git)",
            );
        }
    }
    let source = TestDir::new();
    fs::copy(component("alpha"), source.path().join("alpha.wasm")).expect("a copy");
    let folder = installed();
    let state = TestDir::new();
    let output = Command::new("node")
        .arg("walk.mjs")
        .current_dir(&folder)
        .env("ORWD_BIN", binary())
        .env("ENV_COMPONENT", source.path().join("alpha.wasm"))
        .env("STATE", state.path())
        .env("SCREENSHOTS", folder.join("screenshots"))
        // Where the package unpacks its browser.
        .env("TMPDIR", &folder)
        .output()
        .expect("node can be started");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the walk is complete"), "{text}");
}

/// Installs the packages, once for each lock file, and returns their folder.
fn installed() -> PathBuf {
    let folder = target_dir().join("orwd-web");
    fs::create_dir_all(&folder).expect("the target directory can be written to");
    // Two test processes may start at the same time.
    let lock = File::create(folder.join("lock")).expect("a lock file can be created");
    lock.lock().expect("a file can be locked");
    for (name, text) in FILES {
        fs::write(folder.join(name), text).expect("a copy");
    }
    let installed_from = folder.join("installed-from");
    let wanted = include_str!("package-lock.json");
    if fs::read_to_string(&installed_from).is_ok_and(|text| text == wanted) {
        return folder;
    }
    install(&folder);
    fs::write(&installed_from, wanted).expect("the packages can be marked");
    folder
}

fn install(folder: &Path) {
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .output()
        .expect("npm can be started");
    assert!(
        output.status.success(),
        "these tests need an npm registry once: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
