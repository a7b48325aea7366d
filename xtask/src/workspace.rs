//! The root folder, the tracked files and the crates of this repository.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// An error that ends the program.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One problem that a check reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the root folder.
    pub(crate) file: PathBuf,
    /// Counted from 1; 0 stands for the whole file.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl Finding {
    pub(crate) fn new(file: &Path, line: usize, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(to, "{}: {}", self.file.display(), self.problem),
            line => write!(to, "{}:{line}: {}", self.file.display(), self.problem),
        }
    }
}

/// A crate of this workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root folder.
    pub(crate) folder: PathBuf,
    /// Root files of its library and binaries, relative to the root folder.
    pub(crate) roots: Vec<PathBuf>,
    /// Crates of this workspace that it depends on outside tests, sorted.
    pub(crate) dependencies: Vec<String>,
    /// Whether it is a library with `doctest = false`.
    pub(crate) skips_doctests: bool,
}

/// The repository that this program was built in.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// Tracked files, and new ones that are not ignored; relative, sorted.
    files: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo for the crates and git for the files.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the crate xtask is not inside a folder")?
            .to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let metadata = output(
            Command::new(cargo)
                .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
                .current_dir(&root),
        )?;
        let packages = packages(&serde_json::from_str(&metadata)?, &root)?;
        let mut files = match tracked(&root) {
            Ok(files) => files,
            // A source archive has no repository.
            Err(_) => {
                let mut files = Vec::new();
                walk(&root, &root, &mut files)?;
                files
            }
        };
        files.sort();
        files.dedup();
        Ok(Self {
            root,
            packages,
            files,
        })
    }

    /// Files with this extension, relative to the root folder.
    pub(crate) fn files(&self, extension: &str) -> impl Iterator<Item = &Path> {
        self.files
            .iter()
            .map(PathBuf::as_path)
            .filter(move |file| file.extension().is_some_and(|has| has == extension))
    }

    /// Reads a file by its relative path.
    pub(crate) fn read(&self, file: &Path) -> Result<String> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Crates of the product: the host's and the library for environments.
    pub(crate) fn product(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| {
            package.folder.starts_with("host") || package.folder.starts_with("guest-sdk")
        })
    }
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{command:?} failed with {}: {said}", done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Asks git for the files, without those that are removed but still listed.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = output(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root),
    )?;
    Ok(listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|name| root.join(name).is_file())
        .collect())
}

/// Collects the files below a folder, without build output and hidden folders.
fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !matches!(&*name, ".ci" | ".cargo" | ".github");
            if !hidden && name != "target" && name != "__pycache__" {
                walk(root, &entry.path(), files)?;
            }
        } else if kind.is_file() {
            files.push(entry.path().strip_prefix(root)?.to_owned());
        }
    }
    Ok(())
}

/// Reads the crates from the output of `cargo metadata --no-deps`.
fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let listed = array(metadata, "packages");
    let names: Vec<&str> = listed.iter().map(|package| text(package, "name")).collect();
    let relative = |path: &str| -> Result<PathBuf> {
        let path = Path::new(path);
        Ok(path.strip_prefix(root).unwrap_or(path).to_owned())
    };
    let mut packages = Vec::new();
    for package in listed {
        let manifest = relative(text(package, "manifest_path"))?;
        let mut roots = Vec::new();
        for target in array(package, "targets") {
            let of_product = array(target, "kind")
                .iter()
                .filter_map(Value::as_str)
                .any(|kind| matches!(kind, "lib" | "rlib" | "cdylib" | "bin" | "proc-macro"));
            if of_product {
                roots.push(relative(text(target, "src_path"))?);
            }
        }
        let mut dependencies: Vec<String> = array(package, "dependencies")
            .iter()
            // The kind of a normal dependency is null.
            .filter(|dependency| dependency.get("kind").is_none_or(Value::is_null))
            .map(|dependency| text(dependency, "name"))
            .filter(|name| names.contains(name))
            .map(str::to_owned)
            .collect();
        dependencies.sort();
        dependencies.dedup();
        packages.push(Package {
            name: text(package, "name").to_owned(),
            folder: manifest.parent().unwrap_or(Path::new("")).to_owned(),
            roots,
            dependencies,
            skips_doctests: array(package, "targets").iter().any(skips_doctests),
        });
    }
    packages.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(packages)
}

/// Returns whether this is a library with `doctest = false`. Of other kinds of
/// targets rustdoc runs no examples.
fn skips_doctests(target: &Value) -> bool {
    let mut kinds = array(target, "kind").iter().filter_map(Value::as_str);
    kinds.any(|kind| matches!(kind, "lib" | "proc-macro"))
        && target.get("doctest") == Some(&Value::Bool(false))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_the_workspace_that_it_belongs_to() {
        let workspace = Workspace::open().unwrap();
        let own = workspace
            .packages
            .iter()
            .find(|package| package.name == "xtask")
            .unwrap();
        assert_eq!(own.folder, Path::new("xtask"));
        assert_eq!(own.roots, [Path::new("xtask/src/main.rs")]);
        assert!(
            workspace
                .files("rs")
                .any(|file| file == "xtask/src/workspace.rs")
        );
        let mut walked = Vec::new();
        walk(&workspace.root, &workspace.root, &mut walked).unwrap();
        assert!(
            walked
                .iter()
                .any(|file| file == Path::new("xtask/src/workspace.rs"))
        );
        assert!(workspace.product().all(|package| package.name != "xtask"));
    }
}
