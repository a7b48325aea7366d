//! Programs that cannot be here, with a reason that an agent can act on.

use std::sync::Arc;

use bashkit::{Builtin, BuiltinContext as Context, CommandResolver, ExecResult, async_trait};

/// Programs that need a network.
const NETWORK: &[&str] = &[
    "curl",
    "wget",
    "http",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "nc",
    "netcat",
    "telnet",
    "ftp",
    "ping",
    "dig",
    "nslookup",
    "host",
    "traceroute",
];

/// Programs that need a terminal.
const TERMINAL: &[&str] = &[
    "vi", "vim", "nvim", "nano", "emacs", "pico", "tmux", "screen", "top", "htop",
];

/// Programs of other kinds that agents try.
const PROGRAMS: &[&str] = &[
    "python",
    "python2",
    "python3",
    "pip",
    "pip2",
    "pip3",
    "uv",
    "node",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "bun",
    "deno",
    "ruby",
    "perl",
    "php",
    "java",
    "javac",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "make",
    "cmake",
    "ninja",
    "cargo",
    "rustc",
    "go",
    "git",
    "hg",
    "svn",
    "apt",
    "apt-get",
    "yum",
    "dnf",
    "pacman",
    "brew",
    "apk",
    "dpkg",
    "rpm",
    "docker",
    "podman",
    "kubectl",
    "systemctl",
    "service",
    "sqlite3",
    "psql",
    "mysql",
    "pytest",
    "mvn",
    "gradle",
    "tsc",
    "su",
    "doas",
    "strace",
    "gdb",
    "parallel",
    "template",
];

/// Whether the evaluator's command of this name is left out, since it could do nothing.
pub(crate) fn is_absent(name: &str) -> bool {
    reason(name).is_some()
}

fn reason(name: &str) -> Option<&'static str> {
    if NETWORK.contains(&name) {
        return Some("there is no network here");
    }
    if TERMINAL.contains(&name) {
        return Some("there is no terminal here; write files with cat, printf or sed");
    }
    let program = PROGRAMS.contains(&name);
    program.then_some("other programs cannot run here; `compgen -c` lists the commands")
}

/// Answers for a program that is not found.
pub(crate) struct Missing;

impl CommandResolver for Missing {
    fn resolve(&self, name: &str) -> Option<Arc<dyn Builtin>> {
        let reason = reason(name)?;
        let name = name.to_owned();
        Some(Arc::new(NotFound { name, reason }))
    }
}

struct NotFound {
    name: String,
    reason: &'static str,
}

#[async_trait]
impl Builtin for NotFound {
    async fn execute(&self, _ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        let Self { name, reason } = self;
        let message = format!("bash: {name}: command not found: {reason}\n");
        Ok(ExecResult::err(message, 127))
    }
}
