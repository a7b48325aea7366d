//! The identity of a build: everything that decides what the component is.
//!
//! The folder is that of an author who may be a stranger, so only regular files of
//! bounded size are read, and no links are followed.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use orwd_model::Digest;

use crate::embedded;
use crate::error::PythonBuildError;
use crate::source::PythonSource;

/// Files of an author's folder. More are refused, since they are read each time.
const MAX_FILES: usize = 20_000;

/// Bytes of all these files. The builder permits less.
const MAX_BYTES: u64 = 256 << 20;

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
        "{}\n{}\n{:?}\n{:?}\n{}\n{}\n",
        embedded::digest(),
        source.entry.display(),
        source.class,
        source.bake,
        source.data.is_some(),
        source.network
    );
    let data = source.data.as_deref();
    let mut files = Vec::new();
    collect(&source.folder, data, &mut files)?;
    if let Some(data) = data {
        for member in &source.bake {
            baked(data, member, &mut files)?;
        }
    }
    files.sort();
    files.dedup();
    let mut left = MAX_BYTES;
    for path in files {
        let content = read(&path, left).map_err(PythonBuildError::file(&path))?;
        left = left.saturating_sub(content.len() as u64);
        let name = path.strip_prefix(&source.folder).unwrap_or(&path);
        listing.push_str(&format!("{} {:?}\n", Digest::of(&content), name));
    }
    Ok(Digest::of(listing.as_bytes()))
}

/// Reads a regular file of at most `limit` bytes. Neither a link nor a pipe is
/// opened.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let message = format!("the files that a component is built from exceed {MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

/// Collects the files of one member of the data that becomes part of a component.
fn baked(data: &Path, member: &str, files: &mut Vec<PathBuf>) -> Result<(), PythonBuildError> {
    let path = data.join(member);
    let real = |path: &Path| path.canonicalize().map_err(PythonBuildError::file(path));
    if !real(&path)?.starts_with(real(data)?) {
        return Err(PythonBuildError::Environment(format!(
            "[build] bake: {member:?} is not in the data folder"
        )));
    }
    collect_all(&path, files)
}

/// Collects a file or all files of a folder.
fn collect_all(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), PythonBuildError> {
    let found = path
        .symlink_metadata()
        .map_err(PythonBuildError::file(path))?;
    if found.is_dir() {
        for entry in path.read_dir().map_err(PythonBuildError::file(path))? {
            let entry = entry.map_err(PythonBuildError::file(path))?;
            collect_all(&entry.path(), files)?;
        }
        return Ok(());
    }
    if !found.is_file() {
        return Err(PythonBuildError::Environment(format!(
            "[build] bake: {} is a link or no regular file; put the file itself into the data folder",
            path.display()
        )));
    }
    add(path.to_owned(), path, files)
}

fn add(path: PathBuf, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), PythonBuildError> {
    if files.len() >= MAX_FILES {
        return Err(PythonBuildError::Environment(format!(
            "{} has more than {MAX_FILES} files; build from a folder that has the environment only",
            folder.display()
        )));
    }
    files.push(path);
    Ok(())
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
            add(path, folder, files)?;
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
        // All of a baked folder decides.
        let whole = PythonSource {
            bake: vec![".".to_owned()],
            ..source.clone()
        };
        for part in ["data/large.bin", "data/.hidden", "data/dist/x"] {
            let before = key(&whole).unwrap();
            write(folder, part, "3");
            assert_ne!(key(&whole).unwrap(), before, "{part}");
        }
        let named = PythonSource {
            class: Some("Mine".to_owned()),
            ..source.clone()
        };
        assert_ne!(key(&named).unwrap(), key(&source).unwrap());
        let networked = PythonSource {
            network: true,
            ..source.clone()
        };
        assert_ne!(key(&networked).unwrap(), key(&source).unwrap());
    }

    #[test]
    fn neither_links_nor_pipes_nor_devices_are_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = dir.path().join("author");
        write(&folder, "env.py", "one");
        write(&folder, "data/tasks.json", "1");
        write(dir.path(), "secret/key", "hunter2");
        let trap = folder.join("data/x");
        let link = |to: &Path| std::os::unix::fs::symlink(to, &trap).unwrap();
        let traps: [&dyn Fn(); 4] = [
            &|| link(&dir.path().join("secret")),
            &|| link(&dir.path().join("secret/key")),
            &|| link(Path::new("/dev/zero")),
            &|| {
                let mode = rustix::fs::Mode::RUSR;
                rustix::fs::mkfifoat(rustix::fs::CWD, &trap, mode).unwrap();
            },
        ];
        for (number, make) in traps.iter().enumerate() {
            make();
            for bake in [".", "x"] {
                let source = PythonSource {
                    data: Some(folder.join("data")),
                    bake: vec![bake.to_owned()],
                    ..PythonSource::in_folder(&folder).unwrap()
                };
                assert!(key(&source).is_err(), "{number} {bake}");
            }
            fs::remove_file(&trap).unwrap();
        }
    }
}
