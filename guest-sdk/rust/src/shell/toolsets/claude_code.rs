//! The toolset `claude-code`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::workspace::{Workspace, done, numbered, quoted};
use crate::files::Edit;
use crate::shell::SharedShell;
use crate::{Output, tools};

/// The toolset `claude-code`: `bash`, `glob`, `grep`, `read`, `write`, `edit` and
/// `todo_write`.
#[derive(Clone)]
pub struct ClaudeCode {
    workspace: Workspace,
}

impl ClaudeCode {
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

/// Input of `glob`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Glob {
    pattern: String,
    path: Option<String>,
}

/// Input of `grep`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grep {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
}

/// Input of `read`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    file_path: String,
    offset: Option<u64>,
    limit: Option<u64>,
}

/// Input of `write`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    file_path: String,
    content: String,
}

/// Input of `edit`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EditInput {
    file_path: String,
    old_string: String,
    new_string: String,
    #[serde(default)]
    replace_all: bool,
}

/// Input of `todo_write`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TodoWrite {
    todos: Vec<Map<String, Value>>,
}

#[tools(name = "claude-code")]
impl ClaudeCode {
    /// Executes a bash command and returns its output. The working directory stays
    /// from one command to the next.
    #[tool(concurrent)]
    fn bash(&mut self, input: Bash) -> Output {
        self.workspace.run(&input.command, input.timeout)
    }

    /// Finds files whose name matches a pattern such as `*.js`.
    #[tool(concurrent)]
    fn glob(&mut self, input: Glob) -> Output {
        let (path, pattern) = (
            quoted(input.path.as_deref().unwrap_or(".")),
            quoted(&input.pattern),
        );
        self.workspace
            .run(&format!("find {path} -name {pattern} -type f | sort"), None)
    }

    /// Searches the content of files by a regular expression. `glob` restricts the
    /// names of the files.
    #[tool(concurrent)]
    fn grep(&mut self, input: Grep) -> Output {
        let (path, pattern) = (
            quoted(input.path.as_deref().unwrap_or(".")),
            quoted(&input.pattern),
        );
        let include = input
            .glob
            .map(|glob| format!("--include={} ", quoted(&glob)))
            .unwrap_or_default();
        self.workspace
            .run(&format!("grep -r -n {include}-- {pattern} {path}"), None)
    }

    /// Reads a file and returns its lines with their numbers. `offset` is the number
    /// of the first line, and `limit` the number of lines.
    #[tool(concurrent)]
    fn read(&mut self, input: Read) -> Output {
        let last = match (input.offset, input.limit) {
            (Some(offset), Some(limit)) => Some(offset.saturating_add(limit)),
            (_, limit) => limit,
        };
        self.workspace
            .run(&numbered(&input.file_path, input.offset, last), None)
    }

    /// Writes a file, and creates its folders. An existing file is replaced.
    #[tool(concurrent)]
    fn write(&mut self, input: Write) -> Output {
        let written = self.workspace.write(&input.file_path, &input.content);
        let text = format!("Successfully wrote to {}", input.file_path);
        done(written, text, "\n\n(exit 0)")
    }

    /// Replaces exact text in a file. The text must be unique, or `replace_all` true.
    #[tool(concurrent)]
    fn edit(&mut self, input: EditInput) -> Output {
        let edit = Edit {
            old_string: input.old_string,
            new_string: input.new_string,
            replace_all: input.replace_all,
        };
        let edited = self.workspace.edit(&input.file_path, &[edit]);
        let text = format!("Successfully edited {}", input.file_path);
        done(edited, text, "\n\n(exit 0)")
    }

    /// Notes the list of tasks, each with `content`, `status` and `priority`.
    #[tool(concurrent)]
    fn todo_write(&mut self, input: TodoWrite) -> Output {
        let mut text = String::from("=== TODO LIST ===");
        for todo in &input.todos {
            let word = |name: &str, missing: &str| {
                let found = todo.get(name).and_then(Value::as_str);
                found.unwrap_or(missing).to_owned()
            };
            text.push_str(&format!(
                "\n[{}] [{}] {}",
                word("status", "pending"),
                word("priority", "medium"),
                word("content", "No description"),
            ));
        }
        let count = input.todos.len();
        Output::text(text)
            .metadata(json!({"todos": input.todos, "count": count}))
            .reward(0.0)
    }
}
