//! The tool `bash`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shared::SharedShell;
use crate::{Output, tools};

/// The tool `bash`, as a toolset: `#[tools(toolsets(bash: BashTool))]`.
#[derive(Clone)]
pub struct BashTool {
    shell: SharedShell,
}

impl BashTool {
    /// Returns the tool on a shell.
    pub fn new(shell: &SharedShell) -> Self {
        Self {
            shell: shell.clone(),
        }
    }
}

/// Input of `bash`.
#[derive(Deserialize, JsonSchema)]
struct Bash {
    /// The command line: any bash, also several lines.
    command: String,
    /// The number of seconds after which it is stopped; at most 20, which is also the
    /// default.
    timeout: Option<f64>,
}

#[tools]
impl BashTool {
    /// Runs a bash command line and returns its output and exit code. The working
    /// directory, variables and functions stay from one call to the next. There are
    /// the usual text and file commands (grep, sed, awk, jq, find, sort, tar, diff,
    /// patch and others), but no other programs and no network.
    #[tool]
    fn bash(&mut self, input: Bash) -> Output {
        self.shell.output(&input.command, input.timeout)
    }
}
