//! The toolset `openclaw`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::workspace::{Workspace, done, failed, plain};
use crate::files::Edit;
use crate::shell::SharedShell;
use crate::{Output, tools};

/// The toolset `openclaw`: `exec`, `process`, `read`, `write`, `edit` and
/// `apply_patch`.
#[derive(Clone)]
pub struct OpenClaw {
    workspace: Workspace,
}

impl OpenClaw {
    /// Returns the toolset on a shell.
    pub fn new(shell: &SharedShell) -> Self {
        Self {
            workspace: Workspace::new(shell),
        }
    }
}

/// Input of `exec`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Exec {
    command: String,
    /// Seconds.
    timeout: Option<f64>,
}

/// Input of `process`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Process {
    /// `list`, `poll`, `log`, `write`, `kill` or `remove`.
    action: String,
    #[serde(rename = "sessionId")]
    session_id: Option<String>,
    #[serde(default, rename = "data")]
    _data: Option<String>,
    #[serde(default, rename = "eof")]
    _eof: Option<bool>,
    #[serde(default, rename = "offset")]
    _offset: Option<u64>,
    #[serde(default, rename = "limit")]
    _limit: Option<u64>,
}

/// Input of `read`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    path: String,
    offset: Option<usize>,
    limit: Option<usize>,
}

/// Input of `write`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    path: String,
    content: String,
}

/// One replacement.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Replacement {
    #[serde(rename = "oldText")]
    old_text: String,
    #[serde(rename = "newText")]
    new_text: String,
}

/// Input of `edit`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EditInput {
    path: String,
    edits: Vec<Replacement>,
}

/// Input of `apply_patch`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApplyPatch {
    /// A unified diff.
    input: String,
}

#[tools(name = "openclaw")]
impl OpenClaw {
    /// Executes a shell command and returns its output and exit code. The timeout is in
    /// seconds.
    #[tool(concurrent)]
    fn exec(&mut self, input: Exec) -> Output {
        self.workspace.run(&input.command, input.timeout)
    }

    /// Manages background processes, of which this environment has none: a command
    /// ends with its call.
    #[tool(concurrent)]
    fn process(&mut self, input: Process) -> Output {
        let action = input.action.as_str();
        match (action, input.session_id.as_deref()) {
            ("list", _) => plain("No background processes."),
            ("poll" | "log" | "write" | "kill" | "remove", None | Some("")) => {
                failed(&format!("sessionId is required for action '{action}'."))
            }
            ("poll" | "log" | "write" | "kill" | "remove", Some(id)) => failed(&format!(
                "there is no process {id}: a command ends with its call."
            )),
            _ => failed(&format!(
                "unknown process action '{action}'. Use list, poll, log, write, kill, or remove."
            )),
        }
    }

    /// Reads a file. `offset` is the number of the first line, and `limit` the number
    /// of lines.
    #[tool(concurrent)]
    fn read(&mut self, input: Read) -> Output {
        let text = match self.workspace.text(&input.path) {
            Ok(text) => text,
            Err(error) => return failed(&error.to_string()),
        };
        let first = input.offset.unwrap_or(1).max(1);
        let lines = text.lines().skip(first - 1);
        let lines: Vec<&str> = lines.take(input.limit.unwrap_or(usize::MAX)).collect();
        plain(&lines.join("\n"))
    }

    /// Writes a file, and creates its folders. An existing file is replaced.
    #[tool(concurrent)]
    fn write(&mut self, input: Write) -> Output {
        let written = self.workspace.write(&input.path, &input.content);
        done(written, format!("Successfully wrote to {}", input.path), "")
    }

    /// Replaces texts in a file, each of which must be unique.
    #[tool(concurrent)]
    fn edit(&mut self, input: EditInput) -> Output {
        let edits: Vec<Edit> = input
            .edits
            .into_iter()
            .map(|edit| Edit {
                old_string: edit.old_text,
                new_string: edit.new_text,
                replace_all: false,
            })
            .collect();
        let edited = self.workspace.edit(&input.path, &edits);
        done(edited, format!("Successfully edited {}", input.path), "")
    }

    /// Applies a unified diff.
    #[tool(concurrent)]
    fn apply_patch(&mut self, input: ApplyPatch) -> Output {
        match self.workspace.patch(&input.input) {
            Ok(output) => plain(&format!("Successfully applied patch:\n{output}")),
            Err((output, code)) => failed(&format!("apply_patch failed (exit {code}):\n{output}")),
        }
    }
}
