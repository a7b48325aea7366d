//! The data folder, and paths that stay inside a folder.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// Links that one path may follow.
const MAX_LINKS: usize = 40;

/// Returns the folder with the environment's data: `/orwd_data` in a session.
///
/// In a unit test it is a copy of the folder that `data` in `orwd.toml` names, or
/// else of `data` beside the `Cargo.toml`. Each episode of a
/// [`Harness`](crate::Harness) has a fresh copy, so that a test never changes the
/// files of the author, and no test sees what another one wrote.
pub fn data_dir() -> PathBuf {
    #[cfg(target_arch = "wasm32")]
    {
        PathBuf::from("/orwd_data")
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        super::test_layer::data_dir()
    }
}

/// A folder whose files an agent may name.
///
/// [`join`](Self::join) takes a path that an agent wrote and refuses each that
/// leads out of the folder: an absolute one, one with too many `..`, and one
/// through a link to elsewhere.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// # struct Notes;
/// #[derive(Deserialize, JsonSchema)]
/// struct Read {
///     /// A file in the folder of notes.
///     path: String,
/// }
///
/// # impl Notes {
/// fn read(&self, input: Read) -> Result<String> {
///     let file = Folder::at(data_dir().join("notes")).join(&input.path)?;
///     std::fs::read_to_string(file).with_context(|| input.path.clone())
/// }
/// # }
/// let read = |path: &str| Notes.read(Read { path: path.to_owned() });
/// assert_eq!(
///     read("../answers.txt").unwrap_err().to_string(),
///     "the path \"../answers.txt\" leads out of the folder",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Returns the folder with the environment's data.
    pub fn data() -> Self {
        Self::at(data_dir())
    }

    /// Returns the folder at a path, which need not exist. The path itself is
    /// trusted.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a file or folder in this folder, which need not exist.
    /// No part of it below the folder is a link: links in it are followed, and
    /// must stay inside too.
    pub fn join(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let outside = || {
            Error::msg(format_args!(
                "the path {:?} leads out of the folder",
                path.display().to_string()
            ))
        };
        let mut rest = parts(path).ok_or_else(outside)?;
        let mut inside: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            let Some(name) = part else {
                inside.pop().ok_or_else(outside)?;
                continue;
            };
            let mut candidate = self.root.clone();
            candidate.extend(&inside);
            candidate.push(&name);
            let is_link = candidate
                .symlink_metadata()
                .is_ok_and(|found| found.file_type().is_symlink());
            if !is_link {
                inside.push(name);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::msg(format_args!(
                    "the path {:?} has too many links",
                    path.display().to_string()
                )));
            }
            let mut target = parts(&candidate.read_link()?).ok_or_else(outside)?;
            target.append(&mut rest);
            rest = target;
        }
        let mut joined = self.root.clone();
        joined.extend(&inside);
        Ok(joined)
    }
}

/// Splits a relative path into names; `None` is a step up. Returns `None` for a
/// path that is not relative, or that no file system has.
fn parts(path: &Path) -> Option<VecDeque<Option<OsString>>> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) if !name.as_encoded_bytes().contains(&0) => {
                Some(Some(name.to_owned()))
            }
            Component::ParentDir => Some(None),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::data::test_layer::TempFolder;

    #[test]
    fn a_path_stays_inside_the_folder() {
        let temp = TempFolder::new("folder");
        let root = temp.path().join("root");
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::write(temp.path().join("secret"), "x").unwrap();
        fs::write(root.join("file"), "x").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink(temp.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("deep", root.join("sub/near")).unwrap();
        symlink("../file", root.join("sub/back")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let folder = Folder::at(&root);
        for (path, expected) in [
            ("file", Some("file")),
            ("", Some("")),
            (".", Some("")),
            ("./sub//deep/", Some("sub/deep")),
            ("sub/../file", Some("file")),
            ("sub/near/new.txt", Some("sub/deep/new.txt")),
            ("sub/near/..", Some("sub")),
            ("sub/back", Some("file")),
            ("not/yet/there", Some("not/yet/there")),
            ("not/yet/../there", Some("not/there")),
            ("..name", Some("..name")),
            ("a\\..\\b", Some("a\\..\\b")),
            ("..", None),
            ("../root/file", None),
            ("sub/../../secret", None),
            ("not/../../secret", None),
            ("/etc/passwd", None),
            (root.join("file").to_str().unwrap(), None),
            ("out", None),
            ("absolute", None),
            ("up/secret", None),
            ("sub/deep/../../../secret", None),
            ("loop", None),
            ("a\0b", None),
        ] {
            let joined = folder.join(path).ok();
            assert_eq!(joined, expected.map(|path| root.join(path)), "{path:?}");
        }
    }
}
