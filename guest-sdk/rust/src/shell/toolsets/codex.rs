//! The toolset `codex`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::workspace::Workspace;
use crate::shell::SharedShell;
use crate::{Output, tools};

/// The toolset `codex`: the tool `bash`.
#[derive(Clone)]
pub struct Codex {
    workspace: Workspace,
}

impl Codex {
    /// Returns the toolset on a shell.
    pub fn new(shell: &SharedShell) -> Self {
        Self {
            workspace: Workspace::new(shell),
        }
    }
}

/// Input of `bash`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bash {
    command: String,
    /// What the command is for.
    #[serde(default, rename = "description")]
    _description: String,
    /// Seconds.
    timeout: Option<f64>,
}

#[tools(name = "codex")]
impl Codex {
    /// Runs a shell command and returns its output.
    #[tool(concurrent)]
    fn bash(&mut self, input: Bash) -> Output {
        self.workspace.run(&input.command, input.timeout)
    }
}
