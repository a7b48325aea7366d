//! What the toolsets have in common: a shell, and files below its folder.

use std::fs;

use serde_json::json;

use crate::files::{Edit, FileTools, apply_edits};
use crate::shell::SharedShell;
use crate::{Context, Output, Result};

/// The shell and the files of an episode.
#[derive(Clone)]
pub(super) struct Workspace {
    shell: SharedShell,
    files: FileTools,
}

impl Workspace {
    pub(super) fn new(shell: &SharedShell) -> Self {
        Self {
            shell: shell.clone(),
            files: FileTools::at(shell.folder()),
        }
    }

    pub(super) fn run(&self, command: &str, seconds: Option<f64>) -> Output {
        self.shell.output(command, seconds)
    }

    /// Runs a command and returns its output, or the output with the exit code if
    /// that is above `highest`.
    pub(super) fn checked(&self, command: &str, highest: i32) -> Result<String, (String, i32)> {
        let ran = self.shell.run(command, None);
        match (0..=highest).contains(&ran.exit_code) {
            true => Ok(ran.output),
            false => Err((ran.output, ran.exit_code)),
        }
    }

    /// Reads the text of a file.
    pub(super) fn text(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.files.path(path)?).with_context(|| path.to_owned())
    }

    /// Writes a text, which ends with a line end afterwards.
    pub(super) fn write(&self, path: &str, content: &str) -> Result<()> {
        let file = self.files.path(path)?;
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).with_context(|| path.to_owned())?;
        }
        let end = if content.ends_with('\n') { "" } else { "\n" };
        fs::write(&file, format!("{content}{end}")).with_context(|| path.to_owned())
    }

    pub(super) fn edit(&self, path: &str, edits: &[Edit]) -> Result<()> {
        let edited = apply_edits(&self.text(path)?, edits).with_context(|| path.to_owned())?;
        self.write(path, &edited)
    }

    /// Applies a unified diff.
    pub(super) fn patch(&self, patch: &str) -> Result<String, (String, i32)> {
        let end = if patch.ends_with('\n') { "" } else { "\\n" };
        self.checked(
            &format!("printf '%s{end}' {} | patch -p1", quoted(patch)),
            0,
        )
    }
}

/// Returns a word that the shell reads as this text.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a command that shows lines of a file with their numbers.
pub(super) fn numbered(path: &str, first: Option<u64>, last: Option<u64>) -> String {
    let range = match (first, last) {
        (None, None) => return format!("cat -n {}", quoted(path)),
        (Some(first), Some(last)) => format!("sed -n '{first},{last}p'"),
        (Some(first), None) => format!("tail -n +{first}"),
        (None, Some(last)) => format!("head -n {last}"),
    };
    format!("{range} {} | cat -n", quoted(path))
}

/// Returns the output for something that was done, or could not be.
pub(super) fn done(result: Result<()>, text: String, exit: &str) -> Output {
    match result {
        Ok(()) => {
            Output::text(format!("{text}{exit}")).metadata(json!({"output": "", "exit_code": 0}))
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// Returns the output for an error.
pub(super) fn failed(error: &str) -> Output {
    Output::text(format!("Error: {error}")).metadata(json!({"error": error}))
}

/// Returns the output for text.
pub(super) fn plain(text: &str) -> Output {
    Output::text(text).metadata(json!({"output": text, "exit_code": 0}))
}
