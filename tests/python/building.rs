//! Builds the environments of this suite, each once, and serves them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use orwd_tests::artifacts::target_dir;
use orwd_tests::process::{OrwdCommand, ServeCommand, ServerProcess};

/// The limit for a build: the first one makes the tool environment, and compiles.
pub(crate) const BUILD: Duration = Duration::from_secs(600);

/// Returns the folder of an environment of this suite.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python/environments")
        .join(name)
}

/// Returns the cache directory of the tests, in which builds stay.
pub(crate) fn cache() -> PathBuf {
    target_dir().join("orwd-cache")
}

/// Builds and checks what is at a path, so that serving it later is fast.
pub(crate) fn build(path: &Path) {
    ServeCommand::path(path)
        .flag("--check")
        .command()
        .timeout(BUILD)
        .run()
        .expect_success();
}

/// Returns a command with the cache of the tests.
pub(crate) fn orwd(arguments: &[&str]) -> OrwdCommand {
    OrwdCommand::new(arguments)
        .env("ORWD_CACHE", cache())
        .timeout(BUILD)
}

/// Returns the server of the gallery, which most tests use.
pub(crate) fn gallery() -> &'static ServerProcess {
    static SERVER: OnceLock<ServerProcess> = OnceLock::new();
    SERVER.get_or_init(|| {
        let path = source("gallery");
        build(&path);
        ServeCommand::path(path).start()
    })
}
