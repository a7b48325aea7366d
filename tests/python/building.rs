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
    prepare();
    if path != source("gallery") {
        check(path);
    }
}

/// Builds the gallery before anything else, once. The first build on a machine makes
/// the tool environment, and builds at the same time would each make one, as they
/// would each build the gallery, which several tests use.
fn prepare() {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| check(&source("gallery")));
}

fn check(path: &Path) {
    ServeCommand::path(path)
        .flag("--check")
        .command()
        .timeout(BUILD)
        .run()
        .expect_success();
}

/// Returns a command with the cache of the tests.
pub(crate) fn orwd(arguments: &[&str]) -> OrwdCommand {
    prepare();
    OrwdCommand::new(arguments)
        .env("ORWD_CACHE", cache())
        .timeout(BUILD)
}

/// Returns the server of the gallery, which most tests use.
pub(crate) fn gallery() -> &'static ServerProcess {
    static SERVER: OnceLock<ServerProcess> = OnceLock::new();
    SERVER.get_or_init(|| {
        prepare();
        ServeCommand::path(source("gallery")).start()
    })
}
