//! The comparison of `bench files`: the program of `stock/`, built and started
//! here, and called over its pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use orwd_tests::artifacts::{cargo, profile, target_dir};
use serde_json::Value;

/// A session with the engine's own WASI file system; ends when dropped.
pub(crate) struct StockSession {
    child: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl StockSession {
    /// Opens a session that sees this directory as `/orwd_data`.
    pub(crate) fn open(component: &Path, data: &Path) -> Result<Self, String> {
        let (flags, profile) = profile();
        cargo(
            &[&["build", "--package", "orwd-bench-stock"], flags].concat(),
            &[],
        );
        let name = format!("orwd-bench-stock{}", std::env::consts::EXE_SUFFIX);
        let mut child = Command::new(target_dir().join(profile).join(name))
            .args([component, data])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (calls, answers) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            calls: calls.ok_or("no pipe")?,
            answers: BufReader::new(answers.ok_or("no pipe")?),
            child,
        })
    }

    /// Calls a tool and returns the text of its result.
    pub(crate) fn call(&mut self, tool: &str, input: &Value) -> Result<String, String> {
        let fail = |error: std::io::Error| error.to_string();
        writeln!(self.calls, "{tool} {input}").map_err(fail)?;
        let mut line = String::new();
        match self.answers.read_line(&mut line).map_err(fail)? {
            0 => Err("the stock session ended".to_owned()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for StockSession {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
