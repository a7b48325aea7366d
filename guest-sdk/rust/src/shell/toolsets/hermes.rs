//! The toolset `hermes`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::workspace::{Workspace, done, failed, plain, quoted};
use crate::files::Edit;
use crate::shell::SharedShell;
use crate::{Output, tools};

/// The toolset `hermes`: `terminal`, `read_file`, `write_file`, `search_files` and
/// `patch`.
#[derive(Clone)]
pub struct Hermes {
    workspace: Workspace,
}

impl Hermes {
    /// Returns the toolset on a shell.
    pub fn new(shell: &SharedShell) -> Self {
        Self {
            workspace: Workspace::new(shell),
        }
    }
}

/// Input of `terminal`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Terminal {
    command: String,
    /// Seconds.
    timeout: Option<f64>,
}

/// Input of `read_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    path: String,
    #[serde(default = "one")]
    offset: usize,
    #[serde(default = "page")]
    limit: usize,
}

/// Input of `write_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    content: String,
}

/// Input of `search_files`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchFiles {
    pattern: String,
    /// `content` or `files`.
    #[serde(default = "content")]
    target: String,
    #[serde(default = "here")]
    path: String,
    file_glob: Option<String>,
    #[serde(default = "few")]
    limit: usize,
    #[serde(default)]
    offset: usize,
    /// `content`, `files_only` or `count`.
    #[serde(default = "content")]
    output_mode: String,
    #[serde(default)]
    context: u64,
}

/// Input of `patch`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Patch {
    /// `replace` or `patch`.
    #[serde(default = "replace")]
    mode: String,
    path: Option<String>,
    old_string: Option<String>,
    new_string: Option<String>,
    #[serde(default)]
    replace_all: bool,
    patch: Option<String>,
}

fn one() -> usize {
    1
}

fn page() -> usize {
    500
}

fn few() -> usize {
    50
}

fn content() -> String {
    "content".to_owned()
}

fn replace() -> String {
    "replace".to_owned()
}

fn here() -> String {
    ".".to_owned()
}

#[tools(name = "hermes")]
impl Hermes {
    /// Executes a shell command. Files stay from one call to the next.
    #[tool(concurrent)]
    fn terminal(&mut self, input: Terminal) -> Output {
        self.workspace.run(&input.command, input.timeout)
    }

    /// Reads a text file. Lines have the form `NUMBER|CONTENT`. `offset` is the number
    /// of the first line, and `limit` the number of lines.
    #[tool(concurrent)]
    fn read_file(&mut self, input: ReadFile) -> Output {
        let text = match self.workspace.text(&input.path) {
            Ok(text) => text,
            Err(error) => return failed(&error.to_string()),
        };
        let first = input.offset.max(1);
        let lines: Vec<String> = text
            .lines()
            .enumerate()
            .skip(first - 1)
            .take(input.limit)
            .map(|(place, line)| format!("{}|{line}", place + 1))
            .collect();
        plain(&lines.join("\n"))
    }

    /// Writes a file, and creates its folders. An existing file is replaced.
    #[tool(concurrent)]
    fn write_file(&mut self, input: WriteFile) -> Output {
        let written = self.workspace.write(&input.path, &input.content);
        done(written, format!("Successfully wrote to {}", input.path), "")
    }

    /// Searches the content of files by a regular expression (`target` `content`), or
    /// files by a pattern of their name (`target` `files`).
    #[tool(concurrent)]
    fn search_files(&mut self, input: SearchFiles) -> Output {
        let (pattern, path) = (quoted(&input.pattern), quoted(&input.path));
        let (command, highest, none) = if input.target == "files" {
            let command = format!("find {path} -type f -name {pattern}");
            (command, 0, "No files found.")
        } else {
            let mode = match input.output_mode.as_str() {
                "files_only" => "l",
                "count" => "c",
                _ => "n",
            };
            let context = match input.context {
                0 => String::new(),
                lines => format!(" -C {lines}"),
            };
            let include = input
                .file_glob
                .map(|glob| format!(" --include={}", quoted(&glob)))
                .unwrap_or_default();
            let command = format!("grep -r -{mode}{context}{include} -- {pattern} {path}");
            (command, 1, "No matches found.")
        };
        match self.workspace.checked(&command, highest) {
            Err((output, code)) => failed(&format!("search_files failed (exit {code}):\n{output}")),
            Ok(output) => {
                let lines = output.lines().filter(|line| !line.trim().is_empty());
                let page: Vec<&str> = lines.skip(input.offset).take(input.limit).collect();
                match page.is_empty() {
                    true => plain(none),
                    false => plain(&page.join("\n")),
                }
            }
        }
    }

    /// Edits files: replaces a unique text in one file (`mode` `replace`), or applies a
    /// unified diff (`mode` `patch`).
    #[tool(concurrent)]
    fn patch(&mut self, input: Patch) -> Output {
        match input.mode.as_str() {
            "replace" => {
                let (Some(path), Some(old_string), Some(new_string)) =
                    (input.path, input.old_string, input.new_string)
                else {
                    return failed(
                        "path, old_string, and new_string are required for replace mode.",
                    );
                };
                let edit = Edit {
                    old_string,
                    new_string,
                    replace_all: input.replace_all,
                };
                let edited = self.workspace.edit(&path, &[edit]);
                done(edited, format!("Successfully patched {path}"), "")
            }
            "patch" => {
                let Some(patch) = input.patch.filter(|patch| !patch.is_empty()) else {
                    return failed("patch content is required for patch mode.");
                };
                match self.workspace.patch(&patch) {
                    Ok(output) => plain(&format!("Successfully applied patch:\n{output}")),
                    Err((output, code)) => {
                        failed(&format!("patch failed (exit {code}):\n{output}"))
                    }
                }
            }
            mode => failed(&format!(
                "unknown patch mode '{mode}'. Use 'replace' or 'patch'."
            )),
        }
    }
}
