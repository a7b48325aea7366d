//! The toolset `gemini-cli`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::workspace::{Workspace, done, numbered, quoted};
use crate::files::Edit;
use crate::shell::SharedShell;
use crate::{Output, tools};

/// The toolset `gemini-cli`: `run_shell_command`, `glob`, `grep_search`, `read_file`,
/// `write_file`, `replace`, `list_directory` and `write_todos`.
#[derive(Clone)]
pub struct GeminiCli {
    workspace: Workspace,
}

impl GeminiCli {
    /// Returns the toolset on a shell.
    pub fn new(shell: &SharedShell) -> Self {
        Self {
            workspace: Workspace::new(shell),
        }
    }
}

/// Input of `run_shell_command`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunShellCommand {
    command: String,
    /// What the command is for.
    #[serde(default, rename = "description")]
    _description: String,
    /// The folder to run it in.
    dir_path: Option<String>,
    /// Without effect: a command is always run to its end.
    #[serde(default, rename = "is_background")]
    _is_background: bool,
    /// Without effect.
    #[serde(default, rename = "delay_ms")]
    _delay_ms: Option<f64>,
}

/// Input of `glob`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Glob {
    pattern: String,
    dir_path: Option<String>,
}

/// Input of `grep_search`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrepSearch {
    pattern: String,
    dir_path: Option<String>,
    include_pattern: Option<String>,
    exclude_pattern: Option<String>,
    #[serde(default)]
    names_only: bool,
    max_matches_per_file: Option<u64>,
    total_max_matches: Option<u64>,
}

/// Input of `read_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    file_path: String,
    start_line: Option<u64>,
    end_line: Option<u64>,
}

/// Input of `write_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    file_path: String,
    content: String,
}

/// Input of `replace`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Replace {
    file_path: String,
    old_string: String,
    new_string: String,
    #[serde(default)]
    allow_multiple: bool,
    /// What the change is for.
    #[serde(default, rename = "instruction")]
    _instruction: Option<String>,
}

/// Input of `list_directory`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListDirectory {
    dir_path: String,
    /// Patterns of names that are left out.
    ignore: Option<Vec<String>>,
}

/// One entry of a list of tasks.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Todo {
    description: String,
    status: Status,
}

/// The state of a task.
#[derive(Clone, Copy, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Completed,
    Cancelled,
    Blocked,
}

/// Input of `write_todos`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteTodos {
    todos: Vec<Todo>,
}

#[tools(name = "gemini-cli")]
impl GeminiCli {
    /// Executes a shell command as `bash -c <command>`.
    #[tool(concurrent)]
    fn run_shell_command(&mut self, input: RunShellCommand) -> Output {
        let command = match &input.dir_path {
            // In a shell of its own, so that later commands run where they did.
            Some(folder) => format!("(cd {} || exit 1\n{}\n)", quoted(folder), input.command),
            None => input.command,
        };
        self.workspace.run(&command, None)
    }

    /// Finds files whose name matches a pattern.
    #[tool(concurrent)]
    fn glob(&mut self, input: Glob) -> Output {
        let folder = quoted(input.dir_path.as_deref().unwrap_or("."));
        let pattern = quoted(&input.pattern);
        self.workspace.run(
            &format!("find {folder} -name {pattern} -type f | sort"),
            None,
        )
    }

    /// Searches the content of files by a regular expression.
    #[tool(concurrent)]
    fn grep_search(&mut self, input: GrepSearch) -> Output {
        let mut command = String::from("grep -r -n");
        if let Some(pattern) = &input.include_pattern {
            command.push_str(&format!(" --include={}", quoted(pattern)));
        }
        if input.names_only {
            command.push_str(" -l");
        }
        if let Some(count) = input.max_matches_per_file {
            command.push_str(&format!(" -m {count}"));
        }
        let folder = input.dir_path.as_deref().unwrap_or(".");
        command.push_str(&format!(
            " -- {} {}",
            quoted(&input.pattern),
            quoted(folder)
        ));
        if let Some(pattern) = &input.exclude_pattern {
            command.push_str(&format!(" | grep -v -- {}", quoted(pattern)));
        }
        if let Some(count) = input.total_max_matches {
            command.push_str(&format!(" | head -n {count}"));
        }
        self.workspace.run(&command, None)
    }

    /// Reads a file and returns its lines with their numbers.
    #[tool(concurrent)]
    fn read_file(&mut self, input: ReadFile) -> Output {
        let command = numbered(&input.file_path, input.start_line, input.end_line);
        self.workspace.run(&command, None)
    }

    /// Writes a file, and creates its folders.
    #[tool(concurrent)]
    fn write_file(&mut self, input: WriteFile) -> Output {
        let written = self.workspace.write(&input.file_path, &input.content);
        let text = format!("Successfully wrote to {}", input.file_path);
        done(written, text, "\n\n(exit 0)")
    }

    /// Replaces one occurrence of a text in a file, or all with `allow_multiple`.
    #[tool(concurrent)]
    fn replace(&mut self, input: Replace) -> Output {
        let edit = Edit {
            old_string: input.old_string,
            new_string: input.new_string,
            replace_all: input.allow_multiple,
        };
        let edited = self.workspace.edit(&input.file_path, &[edit]);
        let text = format!("Successfully edited {}", input.file_path);
        done(edited, text, "\n\n(exit 0)")
    }

    /// Lists a folder.
    #[tool(concurrent)]
    fn list_directory(&mut self, input: ListDirectory) -> Output {
        let ignored = input.ignore.unwrap_or_default();
        let ignored: String = ignored
            .iter()
            .map(|pattern| format!(" --ignore={}", quoted(pattern)))
            .collect();
        self.workspace.run(
            &format!("ls -la{ignored} {}", quoted(&input.dir_path)),
            None,
        )
    }

    /// Notes the list of tasks.
    #[tool(concurrent)]
    fn write_todos(&mut self, input: WriteTodos) -> Output {
        let mut text = String::from("=== TODO LIST ===");
        for todo in &input.todos {
            let status = match todo.status {
                Status::Pending => "pending",
                Status::InProgress => "in_progress",
                Status::Completed => "completed",
                Status::Cancelled => "cancelled",
                Status::Blocked => "blocked",
            };
            text.push_str(&format!("\n[{status}] {}", todo.description));
        }
        let count = input.todos.len();
        Output::text(text)
            .metadata(json!({"todos": input.todos, "count": count}))
            .reward(0.0)
    }
}
