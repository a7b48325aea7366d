//! What is built: a folder, the module in it, and the classes to serve.

use std::path::{Path, PathBuf};

use crate::error::PythonBuildError;

/// Modules that a folder without instructions is built from, in this order.
pub const ENTRIES: [&str; 3] = ["env.py", "server.py", "main.py"];

/// A Python environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonSource {
    /// The author's folder.
    pub folder: PathBuf,
    /// The module, relative to the folder.
    pub entry: PathBuf,
    /// The only class to serve, if one is named.
    pub class: Option<String>,
    /// The data directory, if one is declared.
    pub data: Option<PathBuf>,
    /// What of the data is there while the module is imported for the component.
    pub bake: Vec<String>,
    /// Whether it makes HTTP requests.
    pub network: bool,
}

impl PythonSource {
    /// Returns the source that a path on the command line means: `FILE.py` or
    /// `FILE.py:CLASS`.
    pub fn at(path: &Path) -> Option<PythonSource> {
        let text = path.to_str()?;
        let (file, class) = match text.rsplit_once(':') {
            Some((file, class)) if file.ends_with(".py") && is_identifier(class) => {
                (Path::new(file), Some(class.to_owned()))
            }
            _ => (path, None),
        };
        if file.extension().is_none_or(|end| end != "py") || !file.is_file() {
            return None;
        }
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Some(PythonSource {
            folder,
            entry: PathBuf::from(file.file_name()?),
            class,
            data: None,
            bake: Vec::new(),
            network: false,
        })
    }

    /// Returns the source in a folder without instructions, if it has a module of
    /// one of the usual names.
    pub fn in_folder(folder: &Path) -> Option<PythonSource> {
        let is_file = |entry: &&&str| folder.join(entry).is_file();
        let entry = ENTRIES.iter().find(is_file)?;
        Some(PythonSource {
            folder: folder.to_owned(),
            entry: PathBuf::from(entry),
            class: None,
            data: None,
            bake: Vec::new(),
            network: false,
        })
    }

    /// Checks that the module's path can be that of a module.
    pub(crate) fn check(&self) -> Result<(), PythonBuildError> {
        let stem = self.entry.with_extension("");
        let is_module = stem
            .components()
            .all(|part| part.as_os_str().to_str().is_some_and(is_identifier));
        if is_module {
            return Ok(());
        }
        Err(PythonBuildError::Environment(format!(
            "{} cannot be the name of a Python module; rename the file",
            self.entry.display()
        )))
    }
}

fn is_identifier(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_names_a_module_and_perhaps_a_class() {
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("env.py"), "").unwrap();
        let at = |name: &str| {
            let found = PythonSource::at(&dir.path().join(name))?;
            assert_eq!(found.folder, dir.path());
            Some((found.entry.to_str().unwrap().to_owned(), found.class))
        };
        assert_eq!(at("env.py"), Some(("env.py".to_owned(), None)));
        let class = Some("Mine".to_owned());
        assert_eq!(at("env.py:Mine"), Some(("env.py".to_owned(), class)));
        for other in ["env.py:", "env.py:a b", "env", "other.py", "env.wasm"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_has_the_first_of_the_usual_modules() {
        let dir = tempfile::TempDir::new().unwrap();
        let found = || PythonSource::in_folder(dir.path()).map(|found| found.entry);
        assert_eq!(found(), None);
        for entry in ["main.py", "server.py", "env.py"] {
            fs::write(dir.path().join(entry), "").unwrap();
            assert_eq!(found(), Some(PathBuf::from(entry)));
        }
    }

    #[test]
    fn a_module_needs_the_name_of_a_module() {
        let source = |entry: &str| PythonSource {
            folder: PathBuf::from("."),
            entry: PathBuf::from(entry),
            class: None,
            data: None,
            bake: Vec::new(),
            network: false,
        };
        assert!(source("src/env.py").check().is_ok());
        assert!(source("my-env.py").check().is_err());
    }
}
