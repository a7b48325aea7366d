//! Helpers that most tests of this target use.

use std::path::Path;
use std::time::Duration;

use orwd_tests::artifacts::{component, components};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;

/// Longer than any expected event takes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Quotes a path as a TOML string.
fn quoted(path: &Path) -> String {
    serde_json::to_string(path.to_str().expect("a UTF-8 path")).expect("a string")
}

/// Writes the directory of an environment with this manifest, whose component
/// is that of a fixture. The manifest's tables follow its plain keys.
pub(crate) fn environment_dir(
    dir: &TestDir,
    name: &str,
    fixture: &str,
    keys: &str,
    tables: &str,
) -> String {
    let component = quoted(component(fixture));
    let manifest =
        format!("name = \"{name}\"\n{keys}\n[build]\ncomponent = {component}\n{tables}\n");
    dir.write(&format!("{name}/orwd.toml"), manifest);
    dir.at(name)
}

/// Serves a path that the test created.
pub(crate) fn serve(path: impl Into<std::ffi::OsString>) -> ServeCommand {
    components();
    ServeCommand::path(path)
}
