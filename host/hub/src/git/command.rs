//! Commands of git, which see no configuration but ours.

use std::process::{Command, Stdio};

use crate::layout::Layout;

/// Bytes of a pack that a push may send.
const MAX_PACK: u64 = 2 << 30;

/// Bytes of memory that a program may use which reads what a stranger's server
/// sends. It maps packs into it.
const MAX_MEMORY: u64 = 4 << 30;

/// Returns a command of git. Neither the user's configuration nor hooks of a
/// repository apply.
pub(super) fn git(layout: &Layout) -> Command {
    git_with_space(layout, MAX_PACK)
}

/// Returns a command of git that takes packs of at most this many bytes, and of
/// no more than any may have.
pub(super) fn git_with_space(layout: &Layout, left: u64) -> Command {
    configured(Command::new("git"), layout, left)
}

/// Returns a command of git, to be completed with its arguments, that can write no
/// file of more than this many bytes.
pub(super) fn limited_git(layout: &Layout, left: u64) -> Command {
    let left = left.min(MAX_PACK);
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -v \"$1\" && ulimit -f \"$2\" && shift 2 && exec git \"$@\"",
            "sh",
        ])
        .arg((MAX_MEMORY >> 10).to_string())
        .arg((left >> 9).to_string());
    configured(command, layout, left)
}

fn configured(mut command: Command, layout: &Layout, left: u64) -> Command {
    let max_pack = left.min(MAX_PACK).to_string();
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let hooks = layout.hooks();
    let settings: [(&str, &std::ffi::OsStr); 9] = [
        ("core.hooksPath", hooks.as_os_str()),
        ("core.symlinks", "false".as_ref()),
        ("http.receivepack", "true".as_ref()),
        ("receive.maxInputSize", max_pack.as_ref()),
        ("receive.autogc", "false".as_ref()),
        // What is pushed stays a pack. As single objects it would go into folders that
        // packing removes when they are empty, and a push beside it could fail.
        ("receive.unpackLimit", "1".as_ref()),
        ("transfer.fsckObjects", "true".as_ref()),
        ("protocol.allow", "never".as_ref()),
        // The heads of repositories elsewhere, which no client sees or changes.
        ("transfer.hideRefs", "refs/orwd".as_ref()),
    ];
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (index, (name, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), name);
        command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("HOME", layout.home())
        .env("LC_ALL", "C.UTF-8")
        .current_dir(layout.home())
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, and returns its standard output.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot start git: {error}; install git on the server"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(format!("git failed: {}", reason.trim()))
}
