//! The platform with the published client, our commands of the same names, real
//! git and killed processes: runs the stories of `tests/platform`.

use std::fs;
use std::process::Command;

use orwd_tests::artifacts::{binary, component, workspace_dir};
use orwd_tests::test_dir::TestDir;

use crate::{python, shown};

#[test]
fn a_team_uses_the_platform() {
    if std::env::var_os("ORS_BASE_URL").is_some() {
        eprintln!("skipped: the server at ORS_BASE_URL is no platform");
        return;
    }
    let source = TestDir::new();
    source.write("orwd.toml", "name = \"alpha\"\n");
    fs::copy(component("alpha"), source.path().join("alpha.wasm")).expect("a copy");
    let state = TestDir::new();
    let stories = workspace_dir().join("tests/platform/test_platform.py");
    let output = Command::new(python())
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg("--basetemp")
        .arg(state.path().join("stories"))
        .arg(&stories)
        .env("ORWD_BIN", binary())
        .env("ENV_SOURCE", source.path())
        // Its result counts the calls before.
        .env("ENV_CALL", r#"{"tool": "sleep", "input": {"ms": 0}}"#)
        .output()
        .expect("the environment's python can be started");
    let text = shown(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(" passed"), "{text}");
}
