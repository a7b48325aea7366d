//! A task as files, a prompt and hidden checks.

use std::fs;
use std::path::Path;

use orwd_sdk::{Context, Result};
use serde_json::Value;

/// What an episode begins with, and how it is graded.
pub(crate) struct Bench {
    pub(crate) prompt: String,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) checks: Vec<Check>,
}

/// One hidden check.
pub(crate) enum Check {
    /// A file has this text, except for white space at its end.
    Text(String, String),
    /// A file has these lines, in any order.
    Lines(String, Vec<String>),
    /// A file is this JSON.
    Json(String, Value),
    /// A file is not there.
    Absent(String),
    /// A command line prints this, with these files in place.
    Prints {
        command: String,
        files: Vec<(String, String)>,
        output: String,
    },
}

impl Bench {
    /// Returns an empty bench without a goal.
    pub(crate) fn playground() -> Self {
        Self {
            prompt: "There is no goal here: try the tools.".to_owned(),
            files: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Creates the files in a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).context("the folder of the task")?;
        write_files(folder, &self.files)
    }
}

/// Writes files below a folder.
pub(crate) fn write_files(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (name, content) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| name.clone())?;
        }
        fs::write(path, content).with_context(|| name.clone())?;
    }
    Ok(())
}
