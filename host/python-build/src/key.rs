//! The identity of a build: everything that decides what the component is.

use std::fs;
use std::path::{Path, PathBuf};

use orwd_model::Digest;

use crate::embedded;
use crate::error::PythonBuildError;
use crate::source::PythonSource;

/// Files of an author's folder. More are refused, since they are read each time.
const MAX_FILES: usize = 20_000;

/// Folders that hold no sources of an environment.
const SKIPPED: [&str; 6] = [
    "dist",
    "build",
    "target",
    "node_modules",
    "__pycache__",
    "venv",
];

/// Returns the digest of everything that decides what the component is.
pub(crate) fn key(source: &PythonSource) -> Result<Digest, PythonBuildError> {
    let mut listing = format!(
        "{}\n{}\n{:?}\n{:?}\n{}\n",
        embedded::digest(),
        source.entry.display(),
        source.class,
        source.bake,
        source.data.is_some()
    );
    let data = source.data.as_deref();
    let mut files = Vec::new();
    collect(&source.folder, data, &mut files)?;
    if let Some(data) = data {
        for member in &source.bake {
            let path = data.join(member);
            match path.is_dir() {
                true => collect(&path, None, &mut files)?,
                false => files.push(path),
            }
        }
    }
    files.sort();
    files.dedup();
    for path in files {
        let content = fs::read(&path).map_err(PythonBuildError::file(&path))?;
        let name = path.strip_prefix(&source.folder).unwrap_or(&path);
        listing.push_str(&format!("{} {:?}\n", Digest::of(&content), name));
    }
    Ok(Digest::of(listing.as_bytes()))
}

/// Collects the files of a folder.
fn collect(
    folder: &Path,
    data: Option<&Path>,
    files: &mut Vec<PathBuf>,
) -> Result<(), PythonBuildError> {
    let entries = fs::read_dir(folder).map_err(PythonBuildError::file(folder))?;
    for entry in entries {
        let entry = entry.map_err(PythonBuildError::file(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(PythonBuildError::file(&path))?;
        if name.starts_with('.') || Some(path.as_path()) == data {
            continue;
        }
        if kind.is_dir() {
            if !SKIPPED.contains(&&*name) && !path.join("pyvenv.cfg").exists() {
                collect(&path, data, files)?;
            }
        } else if kind.is_file() && !is_no_source(&name) {
            if files.len() >= MAX_FILES {
                return Err(PythonBuildError::Environment(format!(
                    "{} has more than {MAX_FILES} files; build from a folder that has the environment only",
                    folder.display()
                )));
            }
            files.push(path);
        }
    }
    Ok(())
}

fn is_no_source(name: &str) -> bool {
    let end = Path::new(name).extension();
    end.is_some_and(|end| end == "pyc" || end == "wasm")
        || matches!(name, "orwd.toml" | "transcript.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, content: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn sources_and_baked_data_decide_and_nothing_else_does() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = dir.path();
        write(folder, "env.py", "one");
        write(folder, "data/tasks.json", "1");
        write(folder, "data/large.bin", "1");
        let source = PythonSource {
            data: Some(folder.join("data")),
            bake: vec!["tasks.json".to_owned()],
            ..PythonSource::in_folder(folder).unwrap()
        };
        let first = key(&source).unwrap();
        for other in [
            "dist/a.wasm",
            "data/large.bin",
            "__pycache__/x.pyc",
            ".git/x",
            "orwd.toml",
        ] {
            write(folder, other, "2");
            assert_eq!(key(&source).unwrap(), first, "{other}");
        }
        for part in ["data/tasks.json", "env.py", "words.txt", "requirements.txt"] {
            let before = key(&source).unwrap();
            write(folder, part, "2");
            assert_ne!(key(&source).unwrap(), before, "{part}");
        }
        let named = PythonSource {
            class: Some("Mine".to_owned()),
            ..source.clone()
        };
        assert_ne!(key(&named).unwrap(), key(&source).unwrap());
    }
}
