//! The comparison of `bench all`: the program of `bare/`, built and started here.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use orwd_tests::artifacts::{cargo, profile, target_dir};

/// A bare HTTP server with the responses of calls; it ends when this is dropped or
/// this process ends.
pub(crate) struct BareServer {
    child: Child,
    base: String,
}

impl BareServer {
    /// Starts it; `writes` is `one` or `two` for a response.
    pub(crate) fn start(writes: &str) -> Result<BareServer, String> {
        let (flags, profile) = profile();
        cargo(
            &[&["build", "--package", "orwd-bench-bare"], flags].concat(),
            &[],
        );
        let name = format!("orwd-bench-bare{}", std::env::consts::EXE_SUFFIX);
        let mut child = Command::new(target_dir().join(profile).join(name))
            .arg(writes)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the bare server: {error}"))?;
        let mut base = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut base);
        }
        Ok(BareServer {
            child,
            base: base.trim().to_owned(),
        })
    }

    /// Returns its base URL.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
