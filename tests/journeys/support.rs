//! Helpers that most tests of this target use.

use std::time::Duration;

use orwd_tests::artifacts::{component, components};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;

/// Longer than any expected event takes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Writes the directory of an environment with this manifest and the component
/// of a fixture. The manifest's tables follow its plain keys.
pub(crate) fn environment_dir(
    dir: &TestDir,
    name: &str,
    fixture: &str,
    keys: &str,
    tables: &str,
) -> String {
    let manifest =
        format!("name = \"{name}\"\n{keys}\n[build]\ncomponent = \"env.wasm\"\n{tables}\n");
    dir.copy(&format!("{name}/env.wasm"), component(fixture));
    dir.write(&format!("{name}/orwd.toml"), manifest);
    dir.at(name)
}

/// Serves a path that the test created.
pub(crate) fn serve(path: impl Into<std::ffi::OsString>) -> ServeCommand {
    components();
    ServeCommand::path(path)
}
