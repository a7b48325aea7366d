//! The table `build`: how the component of a folder is built.

use std::path::{Path, PathBuf};

use super::error::ManifestError;
use super::table::{MAX_LIST, Table, Text};
use crate::files::stays_below;

/// How the component of a folder is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildRule {
    /// By cargo; the default for a folder with a `Cargo.toml`.
    Cargo,
    /// By a command, run in the folder without a shell.
    Command {
        /// The program and its arguments; not empty.
        command: Vec<String>,
        /// Component that it creates, relative to the folder.
        component: PathBuf,
    },
    /// Not at all: the component exists, relative to the folder.
    Prebuilt(PathBuf),
    /// From a Python module.
    Python(PythonRule),
}

/// How a component is built from a Python module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonRule {
    /// The module, relative to the folder.
    pub module: PathBuf,
    /// The only class to serve, if one is named.
    pub class: Option<String>,
    /// What of the data is there while the module is imported for the component.
    pub bake: Vec<String>,
}
/// Reads the table.
pub(super) fn build(root: &Table<'_>) -> Result<BuildRule, ManifestError> {
    let Some(table) = root.table("build")? else {
        return Ok(BuildRule::Cargo);
    };
    table.only(&["command", "component", "python", "bake"])?;
    if let Some(module) = table.text("python")? {
        return python(&table, &module).map(BuildRule::Python);
    }
    if let Some(bake) = table.value("bake") {
        return Err(table.error(
            Some(bake),
            "`build.bake` requires `build.python`, the module that reads the data",
        ));
    }
    let command = table.texts("command")?;
    let component = table.path("component", "a file", "copy the component into it")?;
    match (command, component) {
        (None, None) => Ok(BuildRule::Cargo),
        (None, Some(component)) => Ok(BuildRule::Prebuilt(component)),
        (Some(command), component) => {
            let words: Vec<String> = command.iter().map(|word| word.value.to_owned()).collect();
            let at = table.value("command");
            if words.first().is_none_or(String::is_empty) {
                return Err(table.error(
                    at,
                    "`build.command` is empty; list the program and its arguments, such as [\"make\", \"component\"]",
                ));
            }
            let Some(component) = component else {
                return Err(table.error(
                    at,
                    "`build.command` requires `build.component`, the file that it creates",
                ));
            };
            Ok(BuildRule::Command {
                command: words,
                component,
            })
        }
    }
}

fn python(table: &Table<'_>, module: &Text<'_>) -> Result<PythonRule, ManifestError> {
    for other in ["command", "component"] {
        if let Some(value) = table.value(other) {
            let message = format!("`build.{other}` and `build.python` exclude each other");
            return Err(table.error(Some(value), &message));
        }
    }
    let (path, class) = match module.value.rsplit_once(':') {
        Some((path, class)) => (path, Some(class.to_owned())),
        None => (module.value, None),
    };
    let path = Path::new(path);
    if path.extension().is_none_or(|end| end != "py") || !stays_below(path) {
        return Err(module.error(
            "expected a Python module in this folder, such as \"env.py\" or \"env.py:MyEnvironment\"",
        ));
    }
    let mut bake = Vec::new();
    for member in table.texts("bake")?.unwrap_or_default() {
        if bake.len() >= MAX_LIST {
            return Err(member.error(&format!("more than {MAX_LIST} entries")));
        }
        if member.value.is_empty() || !stays_below(Path::new(member.value)) {
            return Err(member.error(
                "expected files and folders of the data directory, such as \"tasks.json\"",
            ));
        }
        bake.push(member.value.to_owned());
    }
    Ok(PythonRule {
        module: path.to_owned(),
        class,
        bake,
    })
}
